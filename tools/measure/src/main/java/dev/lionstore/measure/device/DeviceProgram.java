package dev.lionstore.measure.device;

import dev.lionstore.kernel.DeviceException;
import dev.lionstore.measure.report.Format;
import dev.lionstore.measure.report.Numbers;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code benchmark device}. */
@Command(
    name = "device",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description =
        "An OpenCL device's memory, bus, steps and bits, beside PyTorch's optimizers; ends with 1 if"
            + " a byte is not the CPU's.")
public final class DeviceProgram implements Callable<Integer> {
  /** Two stores, and what makes them. */
  private static final int DIRECTORY_BYTES_PER_PARAMETER = 20;

  @Spec private CommandSpec spec;

  @Option(
      names = "--device",
      paramLabel = "NAME",
      description = "Its index, or a part of its name (default: the first one).")
  private String device = "";

  @Option(
      names = "--size",
      paramLabel = "N",
      description = "Parameters, in units of 1048576 (default: ${DEFAULT-VALUE}).")
  private int size = 128;

  @Option(
      names = "--pairs",
      paramLabel = "N",
      description = "Of measurements per row (default: ${DEFAULT-VALUE}).")
  private int pairs = 21;

  @Option(
      names = "--warm-up",
      paramLabel = "MS",
      description = "Before each row, in milliseconds, at least (default: ${DEFAULT-VALUE}).")
  private int warmUp = 1500;

  @Option(
      names = "--directory",
      paramLabel = "DIR",
      description = "Where stores lie (default: /dev/shm, or java.io.tmpdir if that is too small).")
  private @Nullable Path directory;

  @Option(
      names = "--python",
      paramLabel = "PATH",
      description = "Interpreter that may have PyTorch (default: ${DEFAULT-VALUE}).")
  private String python = "python3";

  @Option(names = "--json", description = "Print JSON.")
  private boolean json;

  @Override
  public Integer call() throws IOException, InterruptedException {
    long parameters = (long) Numbers.atLeast(1, "--size", size) << 20;
    Path given = directory;
    DeviceBenchmarkOptions options =
        new DeviceBenchmarkOptions(
            device,
            parameters,
            Numbers.atLeast(1, "--pairs", pairs),
            Duration.ofMillis(Numbers.atLeast(0, "--warm-up", warmUp)),
            given == null ? place(parameters) : given,
            python);
    DeviceFigures figures;
    try {
      figures = DeviceBenchmark.measure(options);
    } catch (IllegalArgumentException e) {
      throw new DeviceException(
          String.valueOf(e.getMessage())); // the options are right, the device is not there
    }
    spec.commandLine().getOut().print(figures.print(Format.of(json)));
    return figures.bits().stream().allMatch(DeviceBits.Result::equal) ? 0 : 1;
  }

  private static Path place(long parameters) {
    Path memory = Path.of("/dev/shm");
    return Files.isWritable(memory)
            && memory.toFile().getUsableSpace() > parameters * DIRECTORY_BYTES_PER_PARAMETER
        ? memory
        : Path.of(System.getProperty("java.io.tmpdir"));
  }
}
