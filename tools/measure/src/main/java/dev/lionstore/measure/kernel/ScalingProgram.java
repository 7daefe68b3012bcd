package dev.lionstore.measure.kernel;

import dev.lionstore.measure.report.Numbers;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code benchmark scaling}. */
@Command(
    name = "scaling",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "The cost of a parameter in small and large stores, of one and of many tensors.")
public final class ScalingProgram implements Callable<Integer> {
  private static final long MEBI = 1 << 20;

  @Spec private CommandSpec spec;

  @Option(
      names = "--most",
      paramLabel = "N",
      description =
          "Parameters of the largest store, in units of 1048576 (default: ${DEFAULT-VALUE}).")
  private int most = 2048;

  @Option(
      names = "--total",
      paramLabel = "N",
      description =
          "Parameters of the stores of many tensors, in units of 1048576 (default: ${DEFAULT-VALUE}).")
  private int total = 256;

  @Option(
      names = "--reference",
      paramLabel = "N",
      description =
          "Parameters of the store beside all others, in units of 1048576 (default: ${DEFAULT-VALUE}).")
  private int reference = 64;

  @Option(
      names = "--pairs",
      paramLabel = "N",
      description = "Of measurements per row (default: ${DEFAULT-VALUE}).")
  private int pairs = 11;

  @Option(
      names = "--directory",
      paramLabel = "DIR",
      description = "Where stores lie, 10 bytes per parameter (default: ${DEFAULT-VALUE}).")
  private Path directory = Path.of("/dev/shm");

  @Override
  public Integer call() throws IOException {
    new ScalingBenchmark(
            spec.commandLine().getOut(),
            directory,
            Numbers.atLeast(1, "--pairs", pairs),
            Numbers.atLeast(1, "--reference", reference) * MEBI)
        .measure(Numbers.atLeast(1, "--most", most), Numbers.atLeast(1, "--total", total) * MEBI);
    return 0;
  }
}
