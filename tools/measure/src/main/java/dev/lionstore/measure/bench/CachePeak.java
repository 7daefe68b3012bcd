package dev.lionstore.measure.bench;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.measure.timing.TimedTask;
import dev.lionstore.measure.workload.LionWork;
import dev.lionstore.measure.workload.Sweep;
import dev.lionstore.measure.workload.TensorPlanes;
import dev.lionstore.measure.workload.WorkerThreads;
import java.io.IOException;
import java.util.function.Supplier;

/** How many operations a CPU's kernel does when it need not wait for memory. */
final class CachePeak {
  /** 128 KB with the gradient: they stay in a core's second-level cache. */
  private static final int PARAMETERS = 16_384;

  private static final int REPEATS = 64;

  /** For each rounding: what is around the kernel is compiled meanwhile. */
  private static final long NANOS = 400_000_000;

  private CachePeak() {}

  /** The most operations per second that all threads reached together. */
  static double operationsPerSecond(Kernel kernel, WorkerThreads workers)
      throws IOException, InterruptedException {
    long count = (long) workers.threads() * WorkerThreads.CHUNK;
    double best = 0;
    try (TensorPlanes planes = TensorPlanes.anonymous(count, ElementType.BF16)) {
      for (Rounding rounding : Rounding.values()) {
        TimedTask pass = TimedTask.of("", workers.pass(repeated(kernel, planes, rounding), count));
        for (long start = System.nanoTime(); System.nanoTime() - start < NANOS; ) {
          double parameters = (double) workers.threads() * REPEATS * PARAMETERS;
          best = Math.max(best, LionWork.operations(rounding) * parameters * 1e9 / pass.nanos());
        }
      }
    }
    return best;
  }

  /** Each thread's piece, again and again. */
  private static Supplier<Sweep> repeated(Kernel kernel, TensorPlanes planes, Rounding rounding) {
    Supplier<Sweep> sweeps = Sweep.of(kernel, planes, rounding);
    return () -> {
      Sweep sweep = sweeps.get();
      return (from, to) -> {
        for (int i = 0; i < REPEATS; i++) {
          sweep.run(from, Math.min(to, from + PARAMETERS));
        }
      };
    };
  }
}
