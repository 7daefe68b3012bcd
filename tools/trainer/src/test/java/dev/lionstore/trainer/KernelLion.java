package dev.lionstore.trainer;

import dev.lionstore.ElementType;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.rule.Coefficients;
import dev.lionstore.rule.Master;
import dev.lionstore.rule.UpdateRules;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/** A kernel of the store, over planes that are split before the step and joined after it. */
record KernelLion(Kernel kernel) implements LionUnderTest {
  static KernelLion of(String backend) {
    return new KernelLion(Kernels.select(backend, UpdateRules.LION).kernel());
  }

  @Override
  public void step(
      MemorySegment master,
      MemorySegment momentum,
      MemorySegment gradient,
      long count,
      Settings settings) {
    double[] hyperparameters =
        UpdateRules.LION
            .settings()
            .with("beta1", settings.beta1())
            .with("beta2", settings.beta2())
            .with("weight_decay", settings.weightDecay())
            .hyperparameters(settings.learningRate(), ParameterGroup.ofDefaults());
    Coefficients coefficients = UpdateRules.LION.coefficients(hyperparameters, 1, 1);
    try (Arena arena = Arena.ofConfined()) {
      long bytes = Short.BYTES * Math.ceilDiv(count, (long) Kernel.ALIGNMENT) * Kernel.ALIGNMENT;
      List<MemorySegment> planes =
          List.of(arena.allocate(bytes, 64), arena.allocate(bytes, 64), arena.allocate(bytes, 64));
      split(master, planes, count);
      planes.get(2).copyFrom(momentum);
      GradientValues values = new GradientValues(ElementType.F32, gradient);
      apply(new TensorStep(planes, values, coefficients, Rounding.NEAREST, 0), count);
      join(planes, master, count);
      momentum.copyFrom(planes.get(2).asSlice(0, momentum.byteSize()));
    }
  }

  private void apply(TensorStep tensor, long count) {
    Kernel.Stepper stepper = kernel.newStepper();
    for (long from = 0; from < count; from += Kernel.MAX_SLICE) {
      stepper.apply(tensor, from, (int) Math.min(Kernel.MAX_SLICE, count - from));
    }
  }

  private static void split(MemorySegment master, List<MemorySegment> planes, long count) {
    for (long i = 0; i < count; i++) {
      int bits = master.getAtIndex(ValueLayout.JAVA_INT, i);
      planes.get(0).setAtIndex(ValueLayout.JAVA_SHORT, i, Master.weights(bits));
      planes.get(1).setAtIndex(ValueLayout.JAVA_SHORT, i, Master.remainder(bits));
    }
  }

  private static void join(List<MemorySegment> planes, MemorySegment master, long count) {
    for (long i = 0; i < count; i++) {
      short weights = planes.get(0).getAtIndex(ValueLayout.JAVA_SHORT, i);
      short remainder = planes.get(1).getAtIndex(ValueLayout.JAVA_SHORT, i);
      master.setAtIndex(ValueLayout.JAVA_INT, i, Master.bits(weights, remainder));
    }
  }
}
