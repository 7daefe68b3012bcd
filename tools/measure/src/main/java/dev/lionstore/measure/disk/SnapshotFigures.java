package dev.lionstore.measure.disk;

import dev.lionstore.measure.report.Format;
import dev.lionstore.measure.report.Labels;
import dev.lionstore.measure.timing.InterleavedTimes;
import dev.lionstore.measure.timing.PairedTimes;
import dev.lionstore.measure.timing.Proc;
import dev.lionstore.os.Posix;
import java.io.IOException;
import java.time.LocalDate;
import java.time.ZoneId;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * What a run of {@link SnapshotBenchmark} found, for people or for programs.
 *
 * @param run what it was
 * @param writing of snapshots
 * @param reading of one
 * @param delays of training beside one
 * @param equal whether the restored store has the hash of the one that was saved
 */
record SnapshotFigures(
    Run run, Shares writing, Shares reading, List<TrainingDelay> delays, boolean equal) {
  static final double LOW = 0.0;
  static final double MIDDLE = 0.5;
  static final double HIGH = 1.0;
  static final double GIGA = 1e9;

  /**
   * What was run, where and when.
   *
   * @param date of it
   * @param options of it
   * @param cpu of the host
   * @param store the kind of file system that stores lie on
   * @param disk that of the disk
   */
  record Run(
      LocalDate date, SnapshotBenchmarkOptions options, String cpu, String store, String disk) {}

  /**
   * Measurements beside the best that the disk does.
   *
   * @param candidates what it does, beside the best of them
   * @param results what is measured, beside the best of them
   */
  record Shares(String roof, List<PairedTimes> candidates, List<PairedTimes> results) {
    static Shares of(InterleavedTimes times, int candidates) {
      int best = times.best(candidates);
      return new Shares(
          times.tasks().get(best).name(),
          times.compare(best, 0, candidates),
          times.compare(best, candidates, times.tasks().size()));
    }

    /** The roof's median time, in nanoseconds. */
    long roofNanos() {
      return candidates.getFirst().medianRoofNanos();
    }
  }

  static SnapshotFigures of(
      SnapshotBenchmarkOptions options,
      Shares writing,
      Shares reading,
      List<TrainingDelay> delays,
      boolean equal)
      throws IOException {
    Run run =
        new Run(
            LocalDate.now(ZoneId.systemDefault()),
            options,
            Proc.cpuModel(),
            Posix.fileSystem(options.store()),
            Posix.fileSystem(options.directory()));
    return new SnapshotFigures(run, writing, reading, delays, equal);
  }

  String print(Format format) {
    return switch (format) {
      case TABLE -> table();
      case JSON -> SnapshotJson.of(this);
    };
  }

  /** Of the state, in a time. */
  double bytesPerSecond(long nanos) {
    return run.options().stateBytes() * GIGA / nanos;
  }

  /** What the disk takes, in bytes per second. */
  double roof() {
    return bytesPerSecond(writing.roofNanos());
  }

  private String table() {
    return "%s, %s, %d cores, JDK %s; %.3f GB of state on %s, disk %s, %d pairs%n"
            .formatted(
                run.date(),
                run.cpu(),
                Runtime.getRuntime().availableProcessors(),
                Runtime.version(),
                run.options().stateBytes() / GIGA,
                run.store(),
                run.disk(),
                run.options().pairs())
        + "Restored: %s%n%n".formatted(equal ? "the same hash" : "ANOTHER HASH")
        + shares("the disk, direct and sequential, as a share of its best", Shares::candidates)
        + "%n".formatted()
        + shares("share of the disk", Shares::results)
        + "%n".formatted()
        + delaysTable();
  }

  private String shares(String title, Function<Shares, List<PairedTimes>> rows) {
    String head =
        "| %-56s | median | low … high    | GB/s   | seconds | disk GB/s |%n|---|---|---|---|---|---|%n"
            .formatted(title);
    return List.of(writing, reading).stream()
        .flatMap(shares -> rows.apply(shares).stream())
        .map(this::row)
        .collect(Collectors.joining("", head, ""));
  }

  private String row(PairedTimes c) {
    return String.format(
        Locale.ROOT,
        "| %-56s | %6.3f | %.3f … %.3f | %6.3f | %7.3f | %9.3f |%n",
        c.name(),
        c.share(MIDDLE),
        c.share(LOW),
        c.share(HIGH),
        bytesPerSecond(c.medianNanos()) / GIGA,
        c.medianNanos() / GIGA,
        bytesPerSecond(c.medianRoofNanos()) / GIGA);
  }

  private String delaysTable() {
    String head =
        ("| %-20s | may take | took    | disk     | iteration | delay   | step   | step during"
                + " | unwritten | disk needs | pace  |%n|---|---|---|---|---|---|---|---|---|---|---|%n")
            .formatted("forward and backward");
    return delays.stream().map(this::row).collect(Collectors.joining("", head, ""));
  }

  private String row(TrainingDelay delay) {
    return String.format(
        Locale.ROOT,
        "| %-20s | %5d MB | %4d MB | %5.2f GB | %7.3f s | %5.3f s | %4.2f s | %9.3f s | %6.3f GB"
            + " | %8.3f s | %5.3f |%n",
        String.format(
            Locale.ROOT, "%s, %.1f s", Labels.of(delay.passes().load()), delay.passes().seconds()),
        delay.memoryBytes() / 1_000_000,
        delay.during().memoryBytes() / 1_000_000,
        delay.during().diskBytes() / GIGA,
        delay.alone().nanos() / GIGA,
        delay.during().delayNanos() / GIGA,
        delay.alone().stepNanos() / GIGA,
        delay.during().stepNanos() / GIGA,
        delay.during().unwrittenBytes() / GIGA,
        delay.diskNanos(roof()) / GIGA,
        delay.pace(roof()));
  }
}
