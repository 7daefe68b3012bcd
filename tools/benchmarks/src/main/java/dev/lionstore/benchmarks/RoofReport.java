package dev.lionstore.benchmarks;

import dev.lionstore.bench.Comparison;
import dev.lionstore.bench.Proc;
import dev.lionstore.mapping.Posix;
import java.io.IOException;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/**
 * What a run found, for people or for programs.
 *
 * @param options of the run
 * @param machine what it ran on
 * @param roof the best candidate's name
 * @param candidates each roof candidate beside the first one
 * @param results each subject beside the best candidate
 * @param guarded steps that save what they change beside steps that do not
 */
record RoofReport(
    RoofOptions options,
    Machine machine,
    String roof,
    List<Comparison> candidates,
    List<Comparison> results,
    List<Comparison> guarded) {
  /** Bytes that a step moves per parameter: four bf16 streams read, three written. */
  private static final int BYTES_PER_PARAMETER = 14;

  private static final double LOW = 0.1;
  private static final double MIDDLE = 0.5;
  private static final double HIGH = 0.9;

  /**
   * Where it ran.
   *
   * @param cpu model name
   * @param cores that the JVM may use
   * @param simd of the kernel
   * @param memory that was measured
   * @param jvm version
   */
  record Machine(String cpu, int cores, String simd, String memory, String jvm) {
    static Machine of(RoofOptions options, String simd) throws IOException {
      String memory =
          options.directory().isPresent()
              ? "files on " + Posix.fileSystem(options.directory().get())
              : "anonymous";
      return new Machine(
          Proc.cpuModel(),
          Runtime.getRuntime().availableProcessors(),
          simd,
          memory,
          Runtime.version().toString());
    }
  }

  static RoofReport of(
      RoofOptions options,
      String simd,
      List<Comparison> candidates,
      String roof,
      List<Comparison> results,
      List<Comparison> guarded)
      throws IOException {
    return new RoofReport(options, Machine.of(options, simd), roof, candidates, results, guarded);
  }

  String print(RoofOptions.Format format) {
    return switch (format) {
      case TABLE -> table();
      case JSON -> json();
    };
  }

  private String table() {
    String head =
        "%s, %d cores; %s; %s memory; %d Mi parameters, %d threads, %d pairs; JDK %s%n"
            .formatted(
                machine.cpu(),
                machine.cores(),
                machine.simd(),
                machine.memory(),
                options.parameters() >> 20,
                options.threads(),
                options.pairs(),
                machine.jvm());
    return head
        + "%nroof candidates, as a share of the first%n".formatted()
        + rows(candidates)
        + "%nshare of the roof (%s)%n".formatted(roof)
        + rows(results)
        + (guarded.isEmpty()
            ? ""
            : "%nshare of the same step without undo%n".formatted() + rows(guarded));
  }

  private String rows(List<Comparison> comparisons) {
    String head =
        "| %-40s | median | 10 %% … 90 %%  | shortest | GB/s | Gparam/s | roof GB/s |%n|---|---|---|---|---|---|---|%n"
            .formatted("what");
    return comparisons.stream()
        .map(c ->
            String.format(
                Locale.ROOT,
                "| %-40s | %6.3f | %.3f … %.3f | %8.3f | %4.1f | %8.2f | %9.1f |%n",
                c.name(),
                c.share(MIDDLE),
                c.share(LOW),
                c.share(HIGH),
                c.shareOfShortest(),
                gigabytes(c.medianNanos()),
                gigabytes(c.medianNanos()) / BYTES_PER_PARAMETER,
                gigabytes(c.medianRoofNanos())))
        .collect(Collectors.joining("", head, ""));
  }

  private String json() {
    return """
    {"machine": {"cpu": %s, "cores": %d, "simd": %s, "memory": %s, "jdk": %s},
     "parameters": %d, "threads": %d, "pairs": %d, "roof": %s,
     "candidates": [%s],
     "results": [%s],
     "guarded": [%s]}
    """
        .formatted(
            quoted(machine.cpu()),
            machine.cores(),
            quoted(machine.simd()),
            quoted(machine.memory()),
            quoted(machine.jvm()),
            options.parameters(),
            options.threads(),
            options.pairs(),
            quoted(roof),
            json(candidates),
            json(results),
            json(guarded));
  }

  private String json(List<Comparison> comparisons) {
    return comparisons.stream()
        .map(c ->
            String.format(
                Locale.ROOT,
                "%n  {\"name\": %s, \"median\": %.4f, \"p10\": %.4f, \"p90\": %.4f, \"shortest\": %.4f,"
                    + " \"nanos\": %d, \"roof_nanos\": %d}",
                quoted(c.name()),
                c.share(MIDDLE),
                c.share(LOW),
                c.share(HIGH),
                c.shareOfShortest(),
                c.medianNanos(),
                c.medianRoofNanos()))
        .collect(Collectors.joining(","));
  }

  static String quoted(String text) {
    return '"' + text.replaceAll("[\\\\\"\\p{Cntrl}]", "?") + '"';
  }

  private double gigabytes(long nanos) {
    return (double) options.parameters() * BYTES_PER_PARAMETER / nanos;
  }
}
