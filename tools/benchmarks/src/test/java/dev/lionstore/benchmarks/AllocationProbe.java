package dev.lionstore.benchmarks;

import com.sun.management.ThreadMXBean;
import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.bench.Planes;
import dev.lionstore.bench.Sweep;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.rule.Lion;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.time.Duration;

/**
 * A JVM of its own that does nothing but steps of one kind and the passes that find the norm, and
 * ends well if they come to allocate nothing.
 */
final class AllocationProbe {
  private static final int PARAMETERS = 1 << 22;
  private static final int PASSES_PER_RUN = 4;

  /** One byte per 1000 parameters; a boxed vector of 16 lanes takes 96. */
  private static final long ALLOWED_BYTES_PER_RUN = (long) PARAMETERS * PASSES_PER_RUN / 1000;

  private static final int QUIET_RUNS = 40;

  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  private AllocationProbe() {}

  /** Called with backend, rounding, gradient type and the longest time to compile. */
  public static void main(String[] arguments) throws IOException {
    Kernel kernel = Kernels.select(arguments[0], Lion.RULE).kernel();
    Duration patience = Duration.parse(arguments[3]);
    ElementType type = ElementType.valueOf(arguments[2]);
    try (Planes planes = Planes.anonymous(PARAMETERS, type)) {
      Sweep step = Sweep.of(kernel, planes, Rounding.valueOf(arguments[1])).get();
      Kernel.Stepper stepper = kernel.newStepper();
      boolean quiet =
          comesToAllocateNothing("step", patience, () -> step.run(0, PARAMETERS))
              && comesToAllocateNothing("norm", patience, () -> norm(stepper, planes));
      System.exit(quiet ? 0 : 1);
    }
  }

  private static void norm(Kernel.Stepper stepper, Planes planes) {
    for (long from = 0; from < PARAMETERS; from += Kernel.NORM_BLOCK) {
      stepper.sumOfSquares(planes.gradient(), from, Kernel.NORM_BLOCK);
    }
  }

  /**
   * A JVM boxes until it has compiled, and may start to box again when it compiles once more: only
   * many quiet runs in a row count.
   */
  private static boolean comesToAllocateNothing(String what, Duration patience, Runnable pass) {
    long end = System.nanoTime() + patience.toNanos();
    long bytes = 0;
    for (int quiet = 0; quiet < QUIET_RUNS; ) {
      if (System.nanoTime() > end) {
        System.out.printf(
            "%s allocates %.4f bytes per parameter, still after %s%n",
            what, (double) bytes / PARAMETERS / PASSES_PER_RUN, patience);
        return false;
      }
      bytes = allocatedBy(pass);
      quiet = bytes <= ALLOWED_BYTES_PER_RUN ? quiet + 1 : 0;
    }
    return true;
  }

  private static long allocatedBy(Runnable pass) {
    long before = THREADS.getCurrentThreadAllocatedBytes();
    for (int i = 0; i < PASSES_PER_RUN; i++) {
      pass.run();
    }
    return THREADS.getCurrentThreadAllocatedBytes() - before;
  }
}
