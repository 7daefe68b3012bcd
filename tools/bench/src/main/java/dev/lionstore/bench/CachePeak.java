package dev.lionstore.bench;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.Kernel;
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
  static double operationsPerSecond(Kernel kernel, Crew crew)
      throws IOException, InterruptedException {
    long count = (long) crew.threads() * Crew.CHUNK;
    double best = 0;
    try (Planes planes = Planes.anonymous(count, ElementType.BF16)) {
      for (Rounding rounding : Rounding.values()) {
        Subject pass = Subject.of("", crew.pass(repeated(kernel, planes, rounding), count));
        for (long start = System.nanoTime(); System.nanoTime() - start < NANOS; ) {
          double parameters = (double) crew.threads() * REPEATS * PARAMETERS;
          best = Math.max(best, LionWork.operations(rounding) * parameters * 1e9 / pass.nanos());
        }
      }
    }
    return best;
  }

  /** Each thread's piece, again and again. */
  private static Supplier<Sweep> repeated(Kernel kernel, Planes planes, Rounding rounding) {
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
