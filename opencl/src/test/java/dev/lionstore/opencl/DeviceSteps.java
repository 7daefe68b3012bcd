package dev.lionstore.opencl;

import dev.lionstore.Rounding;
import dev.lionstore.kernel.DeviceOptions;
import dev.lionstore.kernel.DeviceOptions.Memory;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.ScalarKernel;
import dev.lionstore.rule.Lion;

/** A few steps of a tensor, by the reference or by a device. */
final class DeviceSteps {
  private static final int STEPS = 3;

  private DeviceSteps() {}

  /** By the reference. */
  static void ofReference(HostileTensor tensor, Rounding rounding) {
    apply(new ScalarKernel(Lion.RULE), tensor, rounding);
  }

  /** By a device; returns how it reached the memory. */
  static String of(
      Context context, Source source, Memory memory, HostileTensor tensor, Rounding rounding) {
    DeviceOptions options = DeviceOptions.defaults().withMemory(memory);
    try (OpenClKernel kernel = OpenClKernel.sharing(context, source, options)) {
      String reached = kernel.attach(tensor.memory());
      try (Kernel.Stepper stepper = kernel.newStepper()) {
        apply(stepper, tensor, rounding);
      }
      return reached;
    }
  }

  private static void apply(Kernel.Stepper stepper, HostileTensor tensor, Rounding rounding) {
    for (int step = 0; step < STEPS; step++) {
      for (HostileTensor.Range range : tensor.ranges()) {
        stepper.apply(tensor.step(rounding, step), range.from(), range.count());
      }
    }
  }
}
