package dev.lionstore.measure.kernel;

import dev.lionstore.kernel.DeviceOptions;
import dev.lionstore.measure.report.Format;
import dev.lionstore.measure.report.Numbers;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code benchmark roof}. */
@Command(
    name = "roof",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Kernels and steps as a share of the roof.")
public final class RoofProgram implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(
      names = "--size",
      paramLabel = "N",
      description = "Parameters, in units of 1048576 (default: ${DEFAULT-VALUE}).")
  private int size = 256;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "That pass over them (default: all cores).")
  private int threads = Runtime.getRuntime().availableProcessors();

  @Option(
      names = "--pairs",
      paramLabel = "N",
      description = "Of measurements per row (default: ${DEFAULT-VALUE}).")
  private int pairs = 41;

  @Option(
      names = "--directory",
      paramLabel = "DIR",
      description =
          "Map files here and measure a store's whole step, too (default: anonymous memory, kernel"
              + " alone).")
  private @Nullable Path directory;

  @Option(
      names = "--backend",
      paramLabel = "NAME",
      description =
          "vector, or opencl[:DEVICE], which needs --directory (default: ${DEFAULT-VALUE}).")
  private String backend = "vector";

  @Option(
      names = "--memory",
      paramLabel = "WAY",
      description =
          "How a device reaches the state: ${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}).")
  private DeviceOptions.Memory memory = DeviceOptions.Memory.AUTO;

  @Option(names = "--json", description = "Print JSON.")
  private boolean json;

  @Override
  public Integer call() throws IOException, InterruptedException {
    RoofOptions options =
        new RoofOptions(
            (long) Numbers.atLeast(1, "--size", size) << 20,
            Numbers.atLeast(1, "--threads", threads),
            Numbers.atLeast(1, "--pairs", pairs),
            Optional.ofNullable(directory),
            new RoofOptions.Backend(backend, memory));
    spec.commandLine().getOut().print(RoofBenchmark.measure(options).print(Format.of(json)));
    return 0;
  }
}
