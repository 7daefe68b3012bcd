package dev.lionstore.measure.kernel;

import com.sun.management.ThreadMXBean;
import dev.lionstore.measure.workload.WorkerThreads;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** A JVM of its own that does nothing but loops, and ends well if they come to allocate nothing. */
final class AllocationProbe {
  private static final int PARAMETERS = 1 << 21;

  /** Two threads are compiled for at different moments of the loops. */
  private static final int THREADS = 2;

  /** A boxed vector of 16 lanes takes 96 bytes, 6 per parameter; what hands out chunks, a few. */
  private static final double ALLOWED_BYTES_PER_PARAMETER = 0.02;

  private static final int QUIET_PASSES = 12;

  private static final ThreadMXBean MEMORY = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  private AllocationProbe() {}

  /** A pass over all parameters. */
  private interface Pass {
    void run() throws IOException, InterruptedException;
  }

  /**
   * Called with the order's seed, the longest time for a loop to be compiled, and the beginning of
   * the names of the loops to run.
   */
  public static void main(String[] arguments) throws IOException, InterruptedException {
    Duration patience = Duration.parse(arguments[1]);
    List<EveryLoop.Loop> loops =
        EveryLoop.of(PARAMETERS, Long.parseLong(arguments[0])).stream()
            .filter(loop -> loop.name().startsWith(arguments[2]))
            .toList();
    boolean quiet = !loops.isEmpty();
    try (WorkerThreads workers = new WorkerThreads(THREADS)) {
      List<Pass> passes = new ArrayList<>();
      for (EveryLoop.Loop loop : loops) {
        passes.add(workers.pass(loop.sweeps(), PARAMETERS)::run);
        quiet = quiet && comesToAllocateNothing(loop.name(), patience, passes.getLast());
      }
      // What was compiled for one loop may have been compiled anew for another.
      for (int i = 0; i < loops.size(); i++) {
        String again = loops.get(i).name() + ", again";
        quiet = quiet && comesToAllocateNothing(again, patience, passes.get(i));
      }
    }
    System.exit(quiet ? 0 : 1);
  }

  /**
   * A JVM boxes until it has compiled, and may start to box again when it compiles once more: only
   * quiet passes in a row count.
   */
  private static boolean comesToAllocateNothing(String what, Duration patience, Pass pass)
      throws IOException, InterruptedException {
    long end = System.nanoTime() + patience.toNanos();
    double bytes = 0;
    for (int quiet = 0; quiet < QUIET_PASSES; ) {
      if (System.nanoTime() > end) {
        System.out.printf(
            "%s allocates %.3f bytes per parameter, still after %s%n", what, bytes, patience);
        return false;
      }
      long before = MEMORY.getTotalThreadAllocatedBytes();
      pass.run();
      bytes = (double) (MEMORY.getTotalThreadAllocatedBytes() - before) / PARAMETERS;
      quiet = bytes <= ALLOWED_BYTES_PER_PARAMETER ? quiet + 1 : 0;
    }
    return true;
  }
}
