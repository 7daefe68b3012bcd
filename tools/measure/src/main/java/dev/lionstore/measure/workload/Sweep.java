package dev.lionstore.measure.workload;

import dev.lionstore.Rounding;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.TensorStep;
import java.util.function.Supplier;

/** One thread's pass over consecutive parameters. */
public interface Sweep {
  /** Passes over the parameters from one index to before another. */
  void run(long from, long to);

  /** The step of a kernel, slice by slice as the store calls it. */
  static Supplier<Sweep> of(Kernel kernel, TensorPlanes planes, Rounding rounding) {
    TensorStep step = planes.step(rounding);
    return () -> {
      Kernel.Stepper stepper = kernel.newStepper();
      return (from, to) -> {
        for (long at = from; at < to; at += Kernel.MAX_SLICE) {
          stepper.apply(step, at, (int) Math.min(Kernel.MAX_SLICE, to - at));
        }
      };
    };
  }
}
