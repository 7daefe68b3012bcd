package dev.lionstore.measure.kernel;

import dev.lionstore.measure.report.Numbers;
import dev.lionstore.store.StoreOptions;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code benchmark adamw}. */
@Command(
    name = "adamw",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Lion beside libtorch's fused AdamW.")
public final class AdamWProgram implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(
      names = "--size",
      paramLabel = "N",
      description = "Million parameters; fewer if memory holds fewer (default: ${DEFAULT-VALUE}).")
  private int size = 1000;

  @Option(names = "--threads", paramLabel = "N", description = "Of each (default: all cores).")
  private int threads = StoreOptions.defaults().threads();

  @Option(
      names = "--pairs",
      paramLabel = "N",
      description = "Of measurements (default: ${DEFAULT-VALUE}).")
  private int pairs = 11;

  @Option(
      names = "--directory",
      paramLabel = "DIR",
      description = "Where the store lies (default: ${DEFAULT-VALUE}).")
  private Path directory = Path.of("/dev/shm");

  @Override
  public Integer call() throws IOException, InterruptedException {
    AdamWBenchmark.measure(
        spec.commandLine().getOut(),
        Numbers.atLeast(1, "--size", size) * 1_000_000L,
        Numbers.atLeast(1, "--threads", threads),
        Numbers.atLeast(1, "--pairs", pairs),
        directory);
    return 0;
  }
}
