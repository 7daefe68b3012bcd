package dev.lionstore.cli;

import dev.lionstore.charts.Picture;
import dev.lionstore.measure.bench.Bench;
import dev.lionstore.measure.bench.BenchResult;
import dev.lionstore.measure.bench.BenchSettings;
import dev.lionstore.measure.bench.RooflineChart;
import dev.lionstore.store.StoreOptions;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code lionstore bench}. */
@Command(
    name = "bench",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Measures how fast each backend steps here, as a share of the bandwidth that the memory has"
          + " in the same run: the kernel alone, and a store's whole transaction.",
      "Half a minute; for a machine that does nothing else."
    })
final class BenchCommand implements Callable<Integer> {
  /** What repeated passes on an idle machine stay below. */
  private static final int WIDE = 2;

  private static final long MILLION = 1_000_000;

  @Spec private CommandSpec spec;

  @Option(
      names = "--size",
      paramLabel = "N",
      description =
          "How many million parameters are stepped, by the scalar reference an eighth of them"
              + " (default: ${DEFAULT-VALUE}).")
  private int size = 32;

  @Option(
      names = "--directory",
      paramLabel = "DIR",
      description =
          "Where planes and stores lie meanwhile, 16 bytes per parameter (default: /dev/shm, or where"
              + " temporary files are if that has too little room).")
  private @Nullable Path directory;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "How many threads step (default: all cores).")
  private int threads = StoreOptions.defaults().threads();

  @Option(
      names = "--pairs",
      paramLabel = "N",
      description =
          "How many passes, each beside one of the roof, a figure is the median of (default: as many"
              + " as a few seconds allow).")
  private @Nullable Integer pairs;

  @Option(
      names = "--backend",
      paramLabel = "scalar|vector|opencl[:DEVICE]",
      description =
          "What is measured; may be given several times (default: all that compute the reference's"
              + " bits in the host's memory).")
  private List<String> backends = List.of();

  @Option(
      names = "--picture",
      paramLabel = "F",
      description = "Draw a roofline into this PNG file (default: none).")
  private @Nullable Path picture;

  @Option(names = "--json", description = "Print the result as JSON.")
  private boolean json;

  @Override
  public Integer call() throws IOException {
    Usage.requirePositive(spec, "--size", size);
    Integer given = pairs;
    BenchSettings settings =
        Usage.of(
            spec,
            () ->
                new BenchSettings(
                    size * MILLION,
                    Optional.ofNullable(directory),
                    threads,
                    given == null ? OptionalInt.empty() : OptionalInt.of(given),
                    backends));
    Path png = picture;
    if (png != null) {
      Picture.requireWritable(png);
    }
    Bench bench = Bench.of(settings);
    BenchResult result =
        Terminal.showParts("bench", bench.figures(), "figures", progress -> run(bench, progress));
    print(result);
    if (png != null) {
      RooflineChart.write(result, png);
    }
    return 0;
  }

  private static BenchResult run(Bench bench, LongConsumer progress) throws IOException {
    try {
      return bench.run(progress);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("the bench was interrupted");
    }
  }

  private void print(BenchResult result) {
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      out.println(Json.of(result));
      return;
    }
    BenchResult.Machine machine = result.machine();
    out.printf(
        Locale.ROOT,
        "%s, %d cores, JDK %s; %s parameters in %s (%s), %d threads%n",
        machine.cpu(),
        machine.cores(),
        machine.jdk(),
        Words.count(result.parameters()),
        machine.directory(),
        machine.fileSystem(),
        result.threads());
    out.printf(
        Locale.ROOT,
        "roof: %.1f GB/s read and written (%s); a kernel in the cache: %.0f Gop/s%n%n",
        result.roof().bytesPerSecond() / 1e9,
        result.roof().loop(),
        result.operationsPerSecond() / 1e9);
    out.printf(
        Locale.ROOT,
        "%-10s %-7s %-11s %5s  %-14s %6s  %9s  %9s%n",
        "backend",
        "what",
        "rounding",
        "share",
        "10 % ... 90 %",
        "GB/s",
        "roof GB/s",
        "Mparam/s");
    result.steps().forEach(step -> print(out, step));
    result.steps().stream()
        .map(step -> step.backend() + ": " + step.backendName())
        .distinct()
        .forEach(line -> out.println(line));
    result.leftOut().forEach(line -> out.println("left out: " + line));
    if (result.steps().stream().anyMatch(step -> step.shareHigh() > WIDE * step.shareLow())) {
      out.println(
          "the shares of a row differ by more than a factor of "
              + WIDE
              + ": something else uses this machine; run it again when nothing does");
    }
  }

  private static void print(PrintWriter out, BenchResult.Step step) {
    out.printf(
        Locale.ROOT,
        "%-10s %-7s %-11s %5.2f  %.2f ... %.2f  %6.1f  %9.1f  %9.0f%n",
        step.backend(),
        step.what(),
        step.rounding(),
        step.share(),
        step.shareLow(),
        step.shareHigh(),
        step.bytesPerSecond() / 1e9,
        step.roofBytesPerSecond() / 1e9,
        step.parametersPerSecond() / 1e6);
  }
}
