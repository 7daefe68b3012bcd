package dev.lionstore.cli;

import dev.lionstore.Rounding;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.measure.rule.RuleBits;
import dev.lionstore.measure.rule.RuleSpeed;
import dev.lionstore.opencl.DeviceReport;
import dev.lionstore.opencl.Verdict;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.UpdateRule;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code lionstore rule check NAME|FILE}. */
@Command(
    name = "check",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description =
        "Reads a rule, compares every backend here with the scalar reference in every bit, looks for"
            + " steps that a store would refuse and for values that are not numbers, and measures its"
            + " speed. Ends with 1 if bits differ or a step is refused.")
final class RuleCheckCommand implements Callable<Integer> {
  private static final long DEFAULT_SIZE = 1 << 24;
  private static final long MOST_SIZE = 1L << 32;
  private static final String VECTOR = "vector";

  @Spec private CommandSpec spec;

  @Mixin private RuleArgument rule = new RuleArgument();

  @Option(
      names = "--size",
      paramLabel = "N",
      description =
          "With how many parameters its speed is measured; 0 measures nothing (default:"
              + " ${DEFAULT-VALUE}).")
  private long size = DEFAULT_SIZE;

  @Option(names = "--json", description = "Print the result as JSON.")
  private boolean json;

  /** A backend; null if its bits are the reference's, else what differs. */
  record Backend(String name, String what, boolean equalsReference, @Nullable String difference) {}

  /** A speed of one thread, by how bf16 state is rounded. */
  record Speed(
      String rounding,
      double nanosPerParameter,
      double gigabytesPerSecond,
      double roofGigabytesPerSecond,
      double shareOfRoof,
      long allocatedBytesPerStep) {}

  /** What is printed. */
  record Result(
      String name,
      int step,
      Map<String, Double> coefficients,
      List<Backend> backends,
      List<String> refusals,
      List<String> notNumbers,
      List<Speed> speeds) {
    private boolean isGood() {
      return refusals.isEmpty() && backends.stream().allMatch(Backend::equalsReference);
    }
  }

  @Override
  public Integer call() throws IOException {
    if (size < 0 || size > MOST_SIZE) {
      throw new ParameterException(
          spec.commandLine(), "--size is " + size + ", expected 0 to " + MOST_SIZE);
    }
    UpdateRule checked = Usage.of(spec, rule::source).rule();
    RuleSettings settings = Usage.of(spec, () -> rule.settings(rule.source()));
    RuleBits bits = new RuleBits(settings);
    List<Backend> backends = new ArrayList<>();
    List<Speed> speeds = new ArrayList<>();
    try (Kernel kernel = Kernels.select(VECTOR, checked).kernel()) {
      backends.add(compared(bits, kernel));
      if (size > 0) {
        speeds.addAll(speeds(kernel, settings));
      }
    }
    backends.addAll(devices(checked));
    Result result =
        new Result(
            checked.name(),
            rule.step(),
            rule.coefficients(settings),
            backends,
            bits.refusals(),
            bits.notNumbers(),
            speeds);
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      out.println(Json.of(result));
    } else {
      print(result, out);
    }
    return result.isGood() ? ExitCode.OK : ExitCode.SOFTWARE;
  }

  private static Backend compared(RuleBits bits, Kernel kernel) throws IOException {
    RuleBits.Comparison found =
        Terminal.showParts(
            "compare", bits.parts(), "parts", progress -> bits.compare(kernel, progress));
    boolean isEqual = found.difference().isEmpty();
    return new Backend(
        kernel.backend(),
        Words.count(found.compared()) + " steps of hostile values",
        isEqual,
        isEqual ? null : found.difference());
  }

  /**
   * Devices have a test of their own, with every type of gradient and rounding; its verdict is
   * kept. One that could not be tested is not used either. None steps states of 8 bits, or looks.
   */
  private static List<Backend> devices(UpdateRule rule) {
    boolean offers = !rule.hasBlocks() && rule.looks() == 0;
    List<DeviceReport> reports = offers ? DeviceReport.all(rule) : List.of();
    return reports.stream()
        .filter(report -> report.verdict().isPresent())
        .map(report -> {
          Verdict verdict = report.verdict().orElseThrow();
          return new Backend(
              "opencl:" + report.device().index(),
              report.device().identity().name(),
              verdict.conforms(),
              verdict.conforms() ? null : verdict.toString());
        })
        .toList();
  }

  /** Rounding is timed where there is any. */
  private List<Speed> speeds(Kernel kernel, RuleSettings settings) throws IOException {
    boolean isRounded = kernel.rule().statePlanes().stream().anyMatch(Plane::isRounded);
    List<Rounding> roundings = isRounded ? List.of(Rounding.values()) : List.of(Rounding.NEAREST);
    return Terminal.showParts(
        "measure",
        roundings.size(),
        "roundings",
        progress -> {
          List<Speed> speeds = new ArrayList<>();
          for (Rounding rounding : roundings) {
            speeds.add(speed(kernel, settings, rounding));
            progress.accept(1);
          }
          return speeds;
        });
  }

  private Speed speed(Kernel kernel, RuleSettings settings, Rounding rounding) throws IOException {
    try {
      RuleSpeed found = RuleSpeed.measure(kernel, settings, rounding, size);
      return new Speed(
          Words.of(rounding),
          found.nanosPerParameter(),
          found.gigabytesPerSecond(),
          found.roofGigabytesPerSecond(),
          found.shareOfRoof(),
          found.allocatedBytesPerStep());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while measuring", e);
    }
  }

  private static void print(Result result, PrintWriter out) {
    out.println("rule " + result.name());
    RuleShowCommand.printCoefficients(result.step(), result.coefficients(), out);
    out.println("bits");
    for (Backend backend : result.backends()) {
      String words =
          backend.equalsReference()
              ? "equal to the scalar reference"
              : "DIFFERENT from the scalar reference: " + backend.difference();
      out.println("  " + backend.name() + " (" + backend.what() + "): " + words);
    }
    out.println("steps that a store would refuse");
    if (result.refusals().isEmpty()) {
      out.println("  none found up to a tensor's step 1,000,000; zeros stay 0");
    }
    result.refusals().forEach(found -> out.println("  " + found));
    out.println("values that are not numbers");
    if (result.notNumbers().isEmpty()) {
      out.println("  none found in steps from zero state with finite gradients, zeros among them");
    }
    result.notNumbers().forEach(found -> out.println("  " + found));
    if (!result.speeds().isEmpty()) {
      out.println("speed of one thread, BF16 gradients");
    }
    for (Speed speed : result.speeds()) {
      out.printf(
          Locale.ROOT,
          "  rounding %s: %.3f ns per parameter, %.1f GB/s, %.0f %% of %.1f GB/s that copying does;"
              + " %,d bytes on the heap per step%n",
          speed.rounding(),
          speed.nanosPerParameter(),
          speed.gigabytesPerSecond(),
          100 * speed.shareOfRoof(),
          speed.roofGigabytesPerSecond(),
          speed.allocatedBytesPerStep());
    }
  }
}
