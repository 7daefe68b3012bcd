package dev.lionstore.measure.disk;

import dev.lionstore.measure.report.Numbers;
import dev.lionstore.store.PlaneAccess;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StoreOptions;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code benchmark disk-step}. */
@Command(
    name = "disk-step",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Steps of a store on a disk as a share of what the disk moves.")
@SuppressWarnings("NullAway.Init") // required options are set before the call
public final class DiskStepProgram implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(
      names = "--store",
      paramLabel = "STORE",
      required = true,
      description = "On the disk; it is stepped for good.")
  private Path store;

  @Option(names = "--steps", paramLabel = "N", description = "To take (default: ${DEFAULT-VALUE}).")
  private int steps = 5;

  @Option(
      names = "--access",
      paramLabel = "WAY",
      description =
          "To the planes: ${COMPLETION-CANDIDATES}, in any case (default: ${DEFAULT-VALUE}).")
  private PlaneAccess access = PlaneAccess.AUTO;

  @Option(
      names = "--disk-threads",
      paramLabel = "N",
      split = ",",
      defaultValue = "4,8",
      description = "Of the passes beside the steps, each a row (default: ${DEFAULT-VALUE}).")
  private List<Integer> diskThreads;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "That step, in place (default: all cores).")
  private int threads = StoreOptions.defaults().threads();

  @Option(names = "--only-steps", description = "Without passes of the disk.")
  private boolean onlySteps;

  @Override
  public Integer call() throws IOException, InterruptedException {
    for (int passing : diskThreads) {
      Numbers.atLeast(1, "--disk-threads", passing);
    }
    StoreOptions options =
        StoreOptions.defaults()
            .withBackend("vector")
            .withAccess(access)
            .withThreads(Numbers.atLeast(1, "--threads", threads));
    try (StateStore opened = StateStore.open(store, options);
        Arena arena = Arena.ofShared()) {
      new DiskStepBenchmark(spec.commandLine().getOut(), opened, arena)
          .measure(Numbers.atLeast(1, "--steps", steps), onlySteps ? List.of() : diskThreads);
    }
    return 0;
  }
}
