package dev.lionstore.measure.timing;

import java.io.IOException;
import java.time.Duration;
import java.util.List;

/** Passes before those that count: compilers, drivers and clocks take their time. */
public final class Warming {
  private static final int PASSES = 3;

  /** Rounds in which the compilers find nothing more to do. */
  private static final int COMPILED_ROUNDS = 3;

  private static final Duration MOST_COMPILING = Duration.ofSeconds(10);

  private Warming() {}

  /**
   * Passes, and sleeps while the JVM compiles what they ran, until nothing is left to compile; of
   * one task after the other.
   *
   * @param tasks small ones: what is not compiled yet may be a thousand times slower
   */
  public static void compile(List<TimedTask> tasks) throws IOException, InterruptedException {
    for (TimedTask task : tasks) {
      long end = System.nanoTime() + MOST_COMPILING.toNanos();
      for (int done = 0; done < COMPILED_ROUNDS && System.nanoTime() - end < 0; ) {
        task.nanos();
        done = Compilers.await(end) ? 0 : done + 1;
      }
    }
  }

  /** Passes for a while, and a few times however long that takes. */
  public static void up(Duration least, List<TimedTask> tasks)
      throws IOException, InterruptedException {
    up(least, PASSES, tasks);
  }

  /** Passes for a while, and so many times however long that takes. */
  public static void up(Duration least, int passes, List<TimedTask> tasks)
      throws IOException, InterruptedException {
    long end = System.nanoTime() + least.toNanos();
    for (int i = 0; i < passes || System.nanoTime() - end < 0; i++) {
      for (TimedTask task : tasks) {
        task.nanos();
      }
    }
  }
}
