package dev.lionstore.cli;

import dev.lionstore.audit.Audit;
import dev.lionstore.audit.Footprint;
import dev.lionstore.audit.Measurement;
import dev.lionstore.audit.Part;
import dev.lionstore.audit.Place;
import dev.lionstore.audit.StorePlan;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/**
 * What {@code audit} prints.
 *
 * @param model as the user named it
 * @param source where its shapes are from
 * @param parameters of all tensors
 * @param trainedParameters of those that steps change
 * @param tensors how many
 * @param systems Lionstore and others
 * @param stores the files of Lionstore's stores
 * @param measured what was found, if it was asked for
 */
record AuditTable(
    String model,
    String source,
    long parameters,
    long trainedParameters,
    int tensors,
    List<Row> systems,
    List<Store> stores,
    @Nullable Measurement measured) {
  private static final double GIGA = 1e9;

  /** What a system takes, in bytes. */
  record Row(
      String name,
      long weights,
      long master,
      long momentum,
      long secondMoment,
      long otherState,
      long atRest,
      long optimizerState,
      long gradients,
      long staging,
      long hostRam,
      long gpu,
      long disk) {
    static Row of(Footprint of) {
      return new Row(
          of.name(),
          of.of(Part.WEIGHTS),
          of.of(Part.MASTER),
          of.of(Part.MOMENTUM),
          of.of(Part.SECOND_MOMENT),
          of.of(Part.OTHER_STATE),
          of.atRest(),
          of.optimizerState(),
          of.of(Part.GRADIENTS),
          of.of(Part.STAGING),
          of.at(Place.HOST),
          of.at(Place.GPU),
          of.at(Place.DISK));
    }
  }

  /**
   * A store's files.
   *
   * @param name how it is called
   * @param gradientPlane which gradients it keeps
   * @param fileBytes each file's size
   * @param bytes of all of them
   */
  record Store(String name, String gradientPlane, Map<String, Long> fileBytes, long bytes) {
    static Store of(StorePlan plan) {
      return new Store(
          plan.title(),
          plan.layout().gradientPlane().word(),
          plan.size().files(),
          plan.size().total());
    }
  }

  private record Column(String title, ToLongFunction<Row> bytes) {}

  /** Few rules have any. */
  private static final Column OTHER = new Column("other", Row::otherState);

  private static final List<Column> COLUMNS =
      List.of(
          new Column("weights", Row::weights),
          new Column("master", Row::master),
          new Column("moment", Row::momentum),
          new Column("second", Row::secondMoment),
          OTHER,
          new Column("state", Row::optimizerState),
          new Column("at rest", Row::atRest),
          new Column("gradients", Row::gradients),
          new Column("staging", Row::staging),
          new Column("host RAM", Row::hostRam),
          new Column("GPU", Row::gpu),
          new Column("disk", Row::disk));

  static AuditTable of(Audit audit, Optional<Measurement> measured) {
    return new AuditTable(
        audit.model().name(),
        audit.model().source(),
        audit.model().parameters(),
        audit.model().trainedParameters(),
        audit.model().tensors().size(),
        audit.footprints().stream().map(Row::of).toList(),
        audit.stores().stream().map(Store::of).toList(),
        measured.orElse(null));
  }

  /** For people. */
  List<String> lines() {
    List<String> lines = new ArrayList<>();
    lines.add(
        model.replaceAll("\\p{Cc}", "?")
            + ": "
            + Words.count(parameters)
            + " parameters"
            + (trainedParameters == parameters
                ? ""
                : ", " + Words.count(trainedParameters) + " of them trained")
            + ", from "
            + source);
    lines.add("");
    addSystems(lines);
    for (Store store : stores) {
      lines.add("");
      lines.add(
          store.name()
              + ", gradient plane "
              + store.gradientPlane()
              + ": files of "
              + Words.bytes(store.bytes()));
      store
          .fileBytes()
          .forEach((name, bytes) ->
              lines.add(String.format(Locale.ROOT, "  %-22s%s", name, Words.bytes(bytes))));
    }
    Measurement found = measured;
    if (found != null) {
      lines.add("");
      addMeasured(lines, found);
    }
    return lines;
  }

  private void addSystems(List<String> lines) {
    boolean large = systems.stream().anyMatch(row -> row.atRest() >= GIGA);
    double unit = large ? GIGA : 1e6;
    StringBuilder head =
        new StringBuilder(String.format(Locale.ROOT, "%-22s", large ? "GB" : "MB"));
    List<Column> columns =
        COLUMNS.stream()
            .filter(column ->
                !column.equals(OTHER) || systems.stream().anyMatch(row -> row.otherState() > 0))
            .toList();
    columns.forEach(column -> head.append(String.format(Locale.ROOT, "%10s", column.title())));
    lines.add(head.toString());
    for (Row row : systems) {
      StringBuilder line = new StringBuilder(String.format(Locale.ROOT, "%-22s", row.name()));
      for (Column column : columns) {
        long bytes = column.bytes().applyAsLong(row);
        line.append(
            bytes == 0
                ? String.format(Locale.ROOT, "%10s", "-")
                : String.format(Locale.ROOT, "%10.2f", bytes / unit));
      }
      lines.add(line.toString());
    }
  }

  private static void addMeasured(List<String> lines, Measurement found) {
    lines.add(
        "measured after "
            + found.steps()
            + " steps of "
            + String.format(Locale.ROOT, "%.3f", found.stepSeconds())
            + " s ("
            + found.backend()
            + ") in "
            + found.store());
    lines.add(
        String.format(
            Locale.ROOT,
            "  %-18s%16s%16s%10s%16s%16s",
            "file",
            "planned",
            "blocks",
            "off",
            "page cache",
            "resident"));
    for (Measurement.FileUsed file : found.files()) {
      lines.add(
          String.format(
              Locale.ROOT,
              "  %-18s%,16d%,16d%8.2f %%%,16d%,16d",
              file.name(),
              file.blocks().planned(),
              file.blocks().measured(),
              file.blocks().deviationPercent(),
              file.cached(),
              file.resident()));
    }
    Measurement.Compared resident = found.resident();
    lines.add(
        String.format(
            Locale.ROOT,
            "  resident: planned %,d, found %,d (%+.2f %%); memory that no file backs grew by %,d",
            resident.planned(),
            resident.measured(),
            resident.deviationPercent(),
            found.anonymousGrowth()));
  }
}
