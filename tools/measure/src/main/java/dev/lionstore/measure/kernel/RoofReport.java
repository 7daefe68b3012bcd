package dev.lionstore.measure.kernel;

import static dev.lionstore.measure.report.JsonReport.array;
import static dev.lionstore.measure.report.JsonReport.object;
import static dev.lionstore.measure.report.JsonReport.rounded;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.lionstore.measure.report.Format;
import dev.lionstore.measure.report.JsonReport;
import dev.lionstore.measure.timing.PairedTimes;
import dev.lionstore.measure.timing.Proc;
import dev.lionstore.os.Posix;
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
 * @param results each task beside the best candidate
 * @param guarded steps that save what they change beside steps that do not
 */
public record RoofReport(
    RoofOptions options,
    Machine machine,
    String roof,
    List<PairedTimes> candidates,
    List<PairedTimes> results,
    List<PairedTimes> guarded) {
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
      List<PairedTimes> candidates,
      String roof,
      List<PairedTimes> results,
      List<PairedTimes> guarded)
      throws IOException {
    return new RoofReport(options, Machine.of(options, simd), roof, candidates, results, guarded);
  }

  String print(Format format) {
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

  private String rows(List<PairedTimes> comparisons) {
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
    ObjectNode result = object();
    result.set(
        "machine",
        object()
            .put("cpu", machine.cpu())
            .put("cores", machine.cores())
            .put("simd", machine.simd())
            .put("memory", machine.memory())
            .put("jdk", machine.jvm()));
    result
        .put("parameters", options.parameters())
        .put("threads", options.threads())
        .put("pairs", options.pairs())
        .put("roof", roof);
    result.set("candidates", array(candidates, RoofReport::json));
    result.set("results", array(results, RoofReport::json));
    result.set("guarded", array(guarded, RoofReport::json));
    return JsonReport.text(result);
  }

  private static ObjectNode json(PairedTimes times) {
    return object()
        .put("name", times.name())
        .put("median", rounded(times.share(MIDDLE), 4))
        .put("p10", rounded(times.share(LOW), 4))
        .put("p90", rounded(times.share(HIGH), 4))
        .put("shortest", rounded(times.shareOfShortest(), 4))
        .put("nanos", times.medianNanos())
        .put("roof_nanos", times.medianRoofNanos());
  }

  private double gigabytes(long nanos) {
    return (double) options.parameters() * BYTES_PER_PARAMETER / nanos;
  }
}
