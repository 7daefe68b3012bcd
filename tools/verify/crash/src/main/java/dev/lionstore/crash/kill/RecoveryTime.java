package dev.lionstore.crash.kill;

import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.crash.harness.ScratchFolder;
import dev.lionstore.crash.probe.Unfinished;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StoreBuilder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * How long it takes to open a store whose writer was killed in the middle of a step, in a process
 * that has done nothing before.
 *
 * @param parameters of the store
 * @param chunks of the store
 * @param unfinished how many of them the killed writer left
 * @param openSeconds what opening took, the unfinished chunks included: the median of several
 * @param idleSeconds what opening the same store took when nothing was to be recovered: a JVM that
 *     has done nothing before loads classes, in a time that is the machine's; the median of several
 * @param stepSeconds what a whole step takes a process that has stepped before: the fastest
 * @param firstStepSeconds the same on pages that the process has not touched yet
 */
public record RecoveryTime(
    long parameters,
    int chunks,
    int unfinished,
    double openSeconds,
    double idleSeconds,
    double stepSeconds,
    double firstStepSeconds) {
  /** What recovery may take beside the unfinished chunks. */
  static final double ALLOWED_SECONDS = 1;

  private static final int KILLED = 137;
  private static final int RECOVERIES = 3;
  private static final long LARGEST_TENSOR = 1 << 26;

  /**
   * Makes a store, has it killed and recovered several times, and removes it.
   *
   * @param directory where there is room for 8 bytes a parameter, in a new folder
   */
  public static RecoveryTime measure(long parameters, Path directory)
      throws IOException, InterruptedException {
    Path folder = Files.createTempDirectory(directory, "lionstore-recovery-");
    try {
      Path store = folder.resolve("store");
      create(store, parameters);
      int chunks = chunks(parameters);
      int unfinished = 0;
      double[] open = new double[RECOVERIES];
      double[] idle = new double[RECOVERIES];
      for (int r = 0; r < RECOVERIES; r++) {
        worker(store, KILLED, RecoveryWorker.DIE, Integer.toString(Math.ceilDiv(chunks, 2)));
        unfinished = Unfinished.chunks(store);
        open[r] = recover(store, r + 1);
        idle[r] = recover(store, r + 1);
      }
      Arrays.sort(open);
      Arrays.sort(idle);
      List<String> step = worker(store, 0, RecoveryWorker.STEP, "");
      return new RecoveryTime(
          parameters,
          chunks,
          unfinished,
          open[RECOVERIES / 2],
          idle[RECOVERIES / 2],
          seconds(step.get(0)),
          seconds(step.get(1)));
    } finally {
      ScratchFolder.delete(folder);
    }
  }

  private static double recover(Path store, int step) throws IOException, InterruptedException {
    List<String> said = worker(store, 0, RecoveryWorker.RECOVER, "");
    if (!said.get(1).equals(Integer.toString(step))) {
      throw new IOException("recovered to step " + said.get(1) + ", expected " + step);
    }
    return seconds(said.get(0));
  }

  private static int chunks(long parameters) {
    return tensors(parameters).stream()
        .mapToInt(
            t -> Math.toIntExact(Math.ceilDiv(t.count(), StoreBuilder.DEFAULT_CHUNK_ELEMENTS)))
        .sum();
  }

  private static List<TensorSpec> tensors(long parameters) {
    List<TensorSpec> tensors = new ArrayList<>();
    for (long left = parameters; left > 0; left -= LARGEST_TENSOR) {
      tensors.add(
          new TensorSpec(
              String.format(Locale.ROOT, "tensor-%06d", tensors.size()),
              List.of(Math.min(left, LARGEST_TENSOR)),
              ParameterGroup.DEFAULT_NAME,
              TensorSpec.Role.TRAINABLE));
    }
    return tensors;
  }

  private static void create(Path store, long parameters) throws IOException {
    StoreLayout layout =
        new StoreLayout(
            UpdateRules.LION,
            Rounding.NEAREST,
            0,
            GradientPlane.BF16,
            List.of(ParameterGroup.ofDefaults()),
            tensors(parameters));
    try (StoreBuilder builder = StoreBuilder.create(store, layout)) {
      for (int t = 0; t < layout.tensors().size(); t++) {
        // All: a page that nobody has written yet is cleared on its first touch, in no real store.
        for (Plane plane : layout.planes()) {
          builder.values(plane, t).fill(RecoveryWorker.VALUE_BYTE);
        }
      }
      builder.finish(0, new byte[0]);
    }
  }

  /** Runs one to its end; returns the lines that it printed. */
  private static List<String> worker(Path store, int exit, String task, String argument)
      throws IOException, InterruptedException {
    Path log = store.resolveSibling("worker.log");
    Process process =
        WorkerJvm.start(
            List.of(), RecoveryWorker.class, new String[] {store.toString(), task, argument}, log);
    try {
      List<String> said = process.inputReader().readAllLines();
      if (process.waitFor() != exit) {
        throw new IOException(
            "the worker ended with "
                + process.exitValue()
                + ", expected "
                + exit
                + ": "
                + Files.readString(log).strip());
      }
      return said;
    } finally {
      process.destroyForcibly();
    }
  }

  private static double seconds(String nanoseconds) {
    return Long.parseLong(nanoseconds) / 1e9;
  }

  /** What the unfinished chunks take a process that has stepped before, but not touched them. */
  double unfinishedSeconds() {
    return firstStepSeconds * unfinished / chunks;
  }

  /** What recovery took beside the unfinished chunks. */
  double moreSeconds() {
    return openSeconds - idleSeconds - unfinishedSeconds();
  }

  /** Whether recovery took no longer than is allowed. */
  public boolean isAllowed() {
    return moreSeconds() <= ALLOWED_SECONDS;
  }

  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "opened in %.3f s, in %.3f s with nothing to recover: %,d parameters, %,d of %,d chunks unfinished, which take %.3f s of a"
            + " step's %.3f s (%.3f s on pages touched before); %.3f s more, at most %.0f s are"
            + " allowed",
        openSeconds,
        idleSeconds,
        parameters,
        unfinished,
        chunks,
        unfinishedSeconds(),
        firstStepSeconds,
        stepSeconds,
        moreSeconds(),
        ALLOWED_SECONDS);
  }
}
