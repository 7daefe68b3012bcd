package dev.lionstore.cli;

import dev.lionstore.audit.AdamWSettings;
import dev.lionstore.audit.LionSettings;
import dev.lionstore.audit.Machine;
import dev.lionstore.audit.Mode;
import dev.lionstore.audit.Place;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What {@code plan} prints.
 *
 * @param run where and how, if a model was named
 * @param lion settings, if AdamW's were given
 */
record PlanTable(@Nullable Run run, @Nullable LionSettings lion) {
  private static final double GIGA = 1e9;
  private static final double TERA = 1e12;
  private static final int ADVICE_WIDTH = 110;

  /**
   * A plan for a model. Sizes are in bytes.
   *
   * @param model as the user named it
   * @param parameters of it
   * @param store how the store is called
   * @param machine what there is
   * @param bandwidths where they are from
   * @param modes ways to keep and step the store, the fastest first
   * @param chosen the name of the first that fits, if one does
   * @param snapshotBytes what one takes, about
   * @param snapshotSeconds how long one is written
   * @param stepsPerSnapshot how often one is taken
   * @param writtenPerThousandSteps to the disk, snapshots included, at most
   * @param endurance bytes that the disk may be written, if that was said
   * @param stepsOfEndurance how many steps of the chosen mode that is, at least
   * @param advice what to do
   */
  record Run(
      String model,
      long parameters,
      String store,
      Machine machine,
      String bandwidths,
      List<Row> modes,
      @Nullable String chosen,
      long snapshotBytes,
      double snapshotSeconds,
      int stepsPerSnapshot,
      long writtenPerThousandSteps,
      @Nullable Long endurance,
      @Nullable Long stepsOfEndurance,
      List<String> advice) {}

  /** A mode, by the words of the command line. */
  record Row(
      String name,
      String place,
      boolean streaming,
      long ram,
      long gpu,
      long disk,
      double stepSeconds,
      long writtenPerStep,
      boolean fits,
      List<String> lacks) {
    static Row of(Mode mode) {
      return new Row(
          mode.name(),
          mode.place() == Place.HOST ? "ram" : "disk",
          mode.streaming(),
          mode.ram(),
          mode.gpu(),
          mode.disk(),
          mode.stepSeconds(),
          mode.writtenPerStep(),
          mode.fits(),
          mode.lacks());
    }
  }

  List<String> lines(Optional<AdamWSettings> adamw) {
    List<String> lines = new ArrayList<>();
    Run planned = run;
    if (planned != null) {
      addRun(lines, planned);
    }
    LionSettings settings = lion;
    if (settings != null && adamw.isPresent()) {
      if (planned != null) {
        lines.add("");
      }
      addLion(lines, adamw.get(), settings);
    }
    return lines;
  }

  private static void addRun(List<String> lines, Run run) {
    lines.add(
        run.model().replaceAll("\\p{Cc}", "?")
            + ": "
            + Words.count(run.parameters())
            + " parameters, "
            + run.store());
    Machine machine = run.machine();
    lines.add(
        String.format(
            Locale.ROOT,
            "RAM %s (tmpfs %s), GPU %s, disk %s free; memory %.1f GB/s, disk %.2f GB/s read and"
                + " written, %.2f GB/s written (%s)",
            gigabytes(machine.ram()),
            gigabytes(machine.tmpfs()),
            machine.gpu() == 0 ? "none" : gigabytes(machine.gpu()),
            gigabytes(machine.disk()),
            machine.bandwidth().memory() / GIGA,
            machine.bandwidth().disk() / GIGA,
            machine.bandwidth().diskWrites() / GIGA,
            run.bandwidths()));
    lines.add("");
    lines.add(
        String.format(
            Locale.ROOT,
            "  %-42s%11s%11s%11s%10s%15s",
            "store",
            "RAM",
            "GPU",
            "disk",
            "step",
            "written a step"));
    for (Row mode : run.modes()) {
      String mark = mode.name().equals(run.chosen()) ? "> " : "  ";
      lines.add(
          String.format(
              Locale.ROOT,
              "%s%-42s%11s%11s%11s%10s%15s%s",
              mark,
              mode.name(),
              gigabytes(mode.ram()),
              mode.gpu() == 0 ? "-" : gigabytes(mode.gpu()),
              mode.disk() == 0 ? "-" : gigabytes(mode.disk()),
              seconds(mode.stepSeconds()),
              mode.writtenPerStep() == 0 ? "-" : gigabytes(mode.writtenPerStep()),
              mode.fits() ? "" : "  lacks " + String.join(", ", mode.lacks())));
    }
    lines.add("");
    if (run.chosen() != null) {
      addChosen(lines, run);
    }
    run.advice().forEach(advice -> addWrapped(lines, advice));
  }

  private static void addChosen(List<String> lines, Run run) {
    lines.add(
        String.format(
            Locale.ROOT,
            "snapshot: %s, %s; with one every %,d steps, 1,000 steps write %.3f TB at most",
            gigabytes(run.snapshotBytes()),
            seconds(run.snapshotSeconds()),
            run.stepsPerSnapshot(),
            run.writtenPerThousandSteps() / TERA));
    Long steps = run.stepsOfEndurance();
    Long endurance = run.endurance();
    if (steps != null && endurance != null) {
      lines.add(
          String.format(
              Locale.ROOT,
              "endurance: %.0f TB of writes are %,d steps at least",
              endurance / TERA,
              steps));
    }
    lines.add(
        "on top: forward, backward and their activations"
            + (run.machine().gpu() == 0
                ? ""
                : ", and the way of weights and gradients over the GPU's bus, "
                    + gigabytes(4 * run.parameters())
                    + " a step"));
  }

  private static void addLion(List<String> lines, AdamWSettings adamw, LionSettings lion) {
    lines.add(String.format(Locale.ROOT, "%-24s%14s%14s", "", "lr", "weight decay"));
    lines.add(row("AdamW", adamw.learningRate(), adamw.weightDecay()));
    for (LionSettings.Candidate candidate : lion.candidates()) {
      boolean first = candidate.equals(lion.candidates().getFirst());
      String name = "Lion, by " + candidate.factor() + (first ? ": begin here" : "");
      lines.add(row(name, candidate.learningRate(), candidate.weightDecay()));
    }
    lines.add(
        String.format(
            Locale.ROOT,
            "betas (%s, %s); no eps; clip the norm as before",
            LionSettings.shown(lion.beta1()),
            LionSettings.shown(lion.beta2())));
    lion.warnings().forEach(warning -> addWrapped(lines, warning));
  }

  private static String row(String name, double learningRate, double weightDecay) {
    return String.format(
        Locale.ROOT,
        "%-24s%14s%14s",
        name,
        LionSettings.shown(learningRate),
        LionSettings.shown(weightDecay));
  }

  /** One sentence under a dash, in lines that fit a terminal. */
  private static void addWrapped(List<String> lines, String sentence) {
    StringBuilder line = new StringBuilder("-");
    for (String word : sentence.split(" ")) {
      if (line.length() + word.length() >= ADVICE_WIDTH) {
        lines.add(line.toString());
        line = new StringBuilder(" ");
      }
      line.append(' ').append(word);
    }
    lines.add(line.toString());
  }

  private static String gigabytes(long bytes) {
    return bytes >= 10_000_000
        ? String.format(Locale.ROOT, "%.2f GB", bytes / GIGA)
        : String.format(Locale.ROOT, "%.2f MB", bytes / 1e6);
  }

  private static String seconds(double seconds) {
    return seconds >= 1
        ? String.format(Locale.ROOT, "%.1f s", seconds)
        : String.format(Locale.ROOT, "%.1f ms", seconds * 1e3);
  }
}
