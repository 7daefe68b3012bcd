package dev.lionstore.benchmarks;

import dev.lionstore.bench.Comparison;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.stream.Collectors;

/** What a run of {@link SnapshotBenchmark} found, under keys that stay. */
final class SnapshotJson {
  private SnapshotJson() {}

  static String of(SnapshotFigures figures) {
    SnapshotFigures.Run run = figures.run();
    return String.format(
        Locale.ROOT,
        """
        {"date": "%s",
         "host": {"cpu": %s, "cores": %d, "jdk": %s, "store": %s, "disk": %s},
         "state_bytes": %d, "pairs": %d, "hash_equal": %b,
         "write": %s,
         "read": %s,
         "training": [%s]}
        """,
        run.date(),
        RoofReport.quoted(run.cpu()),
        Runtime.getRuntime().availableProcessors(),
        RoofReport.quoted(Runtime.version().toString()),
        RoofReport.quoted(run.store()),
        RoofReport.quoted(run.disk()),
        run.options().stateBytes(),
        run.options().pairs(),
        figures.equal(),
        json(figures.writing()),
        json(figures.reading()),
        rows(figures.delays(), delay -> json(delay, figures.roof())));
  }

  private static String json(SnapshotFigures.Shares shares) {
    return String.format(
        "{\"roof\": %s, \"disk\": [%s],%n  \"results\": [%s]}",
        RoofReport.quoted(shares.roof()),
        rows(shares.candidates(), SnapshotJson::json),
        rows(shares.results(), SnapshotJson::json));
  }

  private static String json(Comparison c) {
    return String.format(
        Locale.ROOT,
        "{\"name\": %s, \"median\": %.4f, \"low\": %.4f, \"high\": %.4f, \"nanos\": %d, \"roof_nanos\": %d}",
        RoofReport.quoted(c.name()),
        c.share(SnapshotFigures.MIDDLE),
        c.share(SnapshotFigures.LOW),
        c.share(SnapshotFigures.HIGH),
        c.medianNanos(),
        c.medianRoofNanos());
  }

  private static String json(TrainingDelay delay, double roof) {
    return String.format(
        Locale.ROOT,
        "{\"load\": \"%s\", \"seconds\": %.3f, \"memory_bytes\": %d, \"memory_used_bytes\": %d,"
            + " \"disk_used_bytes\": %d, \"iteration_nanos\": %d, \"delay_nanos\": %d,"
            + " \"step_nanos\": %d, \"step_during_nanos\": %d, \"unwritten_bytes\": %d,"
            + " \"disk_nanos\": %d, \"pace\": %.4f}",
        SnapshotFigures.word(delay.passes().load()),
        delay.passes().seconds(),
        delay.memoryBytes(),
        delay.during().memoryBytes(),
        delay.during().diskBytes(),
        delay.alone().nanos(),
        delay.during().delayNanos(),
        delay.alone().stepNanos(),
        delay.during().stepNanos(),
        delay.during().unwrittenBytes(),
        delay.diskNanos(roof),
        delay.pace(roof));
  }

  private static <T> String rows(List<T> things, Function<T, String> words) {
    return things.stream()
        .map(thing -> "\n   " + words.apply(thing))
        .collect(Collectors.joining(","));
  }
}
