package dev.lionstore.trainer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import dev.lionstore.ElementType;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.rule.Coefficients;
import dev.lionstore.rule.Master;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.function.UnaryOperator;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** AdamW against PyTorch's own operations, bit for bit. */
final class AdamWEqualsPyTorchTest {
  private static final UpdateRule ADAMW = UpdateRules.required("adamw");
  private static final long SEED = 20261128;
  private static final int STEPS = 20;

  private static final float LARGEST = 1e18f;

  /** No multiple of any vector length. */
  private static final long COUNT = (1L << 16) + 13;

  /** A master and its moments, fp32, of one contender. */
  private record Planes(MemorySegment master, MemorySegment momentum, MemorySegment secondMoment) {
    static Planes allocate(Arena arena) {
      Planes planes =
          new Planes(
              arena.allocate(COUNT * Float.BYTES, 64),
              arena.allocate(paddedBytes(Float.BYTES), 64),
              arena.allocate(paddedBytes(Float.BYTES), 64));
      new HostileValues(SEED).fillMaster(planes.master, COUNT);
      return planes;
    }
  }

  private static long paddedBytes(int elementBytes) {
    return Math.ceilDiv(COUNT, (long) Kernel.ALIGNMENT) * Kernel.ALIGNMENT * elementBytes;
  }

  /** Of every magnitude whose square is finite: beyond, PyTorch's second moment is infinite. */
  private static void fillGradient(MemorySegment gradient, long step) {
    new HostileValues(SEED + 1 + step).fillMaster(gradient, COUNT);
    for (long i = 0; i < COUNT; i++) {
      float any = gradient.getAtIndex(ValueLayout.JAVA_FLOAT, i);
      gradient.setAtIndex(ValueLayout.JAVA_FLOAT, i, Math.clamp(any, -LARGEST, LARGEST));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "vector, 1e-3, 0.9, 0.999, 1e-8, 0.01",
    "scalar, 1e-3, 0.9, 0.999, 1e-8, 0.01",
    "vector, 3e-4, 0.9, 0.95, 1e-8, 0.1",
    "vector, 0.1, 0.4, 0.5, 1e-3, 0",
    "vector, 1e-4, 0.1, 0.99, 1e-15, 1"
  })
  void manyStepsGiveTheSameMasterAndMoments(
      String backend, double lr, double beta1, double beta2, double eps, double decay) {
    RuleSettings config =
        ADAMW
            .settings()
            .with("beta1", beta1)
            .with("beta2", beta2)
            .with("eps", eps)
            .with("weight_decay", decay);
    double[] hyperparameters = config.hyperparameters(lr, ParameterGroup.ofDefaults());
    Kernel kernel = Kernels.select(backend, ADAMW).kernel();
    try (Arena arena = Arena.ofShared()) {
      Planes expected = Planes.allocate(arena);
      Planes found = Planes.allocate(arena);
      MemorySegment gradient = arena.allocate(COUNT * Float.BYTES, 64);
      Contender ours = new Contender(kernel, found, arena);
      for (int step = 1; step <= STEPS; step++) {
        fillGradient(gradient, step);
        pyTorch(expected, gradient, config, lr, step);
        ours.step(gradient, ADAMW.coefficients(hyperparameters, 1, step));
        assertEquals("", difference(expected, found), "step " + step);
      }
    }
  }

  @Test
  void aCoefficientThatIsOneUnitInTheLastPlaceOffIsCaught() {
    for (String name : List.of(UpdateRule.SCALE, "o2", "root", "rate", "decay")) {
      assertNotEquals("", firstStep(k -> nextUp(k, name)), name);
    }
    assertEquals("", firstStep(k -> k));
  }

  private static Coefficients nextUp(Coefficients k, String name) {
    float[] values = k.values().clone();
    int index = ADAMW.coefficientNames().indexOf(name);
    values[index] = Math.nextUp(values[index]);
    return new Coefficients(ADAMW, values);
  }

  private static String firstStep(UnaryOperator<Coefficients> change) {
    RuleSettings config = ADAMW.settings();
    try (Arena arena = Arena.ofShared()) {
      Planes expected = Planes.allocate(arena);
      Planes found = Planes.allocate(arena);
      MemorySegment gradient = arena.allocate(COUNT * Float.BYTES, 64);
      fillGradient(gradient, 1);
      pyTorch(expected, gradient, config, 1e-3, 1);
      double[] hyperparameters = config.hyperparameters(1e-3, ParameterGroup.ofDefaults());
      Kernel kernel = Kernels.select("vector", ADAMW).kernel();
      new Contender(kernel, found, arena)
          .step(gradient, change.apply(ADAMW.coefficients(hyperparameters, 1, 1)));
      return difference(expected, found);
    }
  }

  /**
   * The operations of {@code _single_tensor_adamw} in {@code torch/optim/adamw.py}, in their order.
   */
  private static void pyTorch(
      Planes planes, MemorySegment gradient, RuleSettings config, double lr, int step) {
    try (PointerScope _ = new PointerScope();
        NoGradGuard _ = new NoGradGuard()) {
      long[] shape = {COUNT};
      Tensor p = NativeTensors.alias(planes.master, ElementType.F32, shape);
      Tensor average = NativeTensors.alias(planes.momentum, ElementType.F32, shape);
      Tensor squares = NativeTensors.alias(planes.secondMoment, ElementType.F32, shape);
      Tensor grad = NativeTensors.alias(gradient, ElementType.F32, shape);
      p.mul_(new Scalar(1 - lr * config.get("weight_decay")));
      average.lerp_(grad, new Scalar(1 - config.get("beta1")));
      squares
          .mul_(new Scalar(config.get("beta2")))
          .addcmul_(grad, grad, new Scalar(1 - config.get("beta2")));
      double correction1 = 1 - Math.pow(config.get("beta1"), step);
      double root = Math.sqrt(1 - Math.pow(config.get("beta2"), step));
      Tensor denominator = squares.sqrt().div(new Scalar(root)).add_(new Scalar(config.get("eps")));
      p.addcdiv_(average, denominator, new Scalar(-(lr / correction1)));
    }
  }

  /** A kernel over planes that are split before a step and joined after it. */
  private record Contender(Kernel kernel, Planes planes, List<MemorySegment> state) {
    Contender(Kernel kernel, Planes planes, Arena arena) {
      this(
          kernel,
          planes,
          List.of(
              arena.allocate(paddedBytes(Short.BYTES), 64),
              arena.allocate(paddedBytes(Short.BYTES), 64),
              planes.momentum,
              planes.secondMoment));
    }

    void step(MemorySegment gradient, Coefficients coefficients) {
      for (long i = 0; i < COUNT; i++) {
        int bits = planes.master.getAtIndex(ValueLayout.JAVA_INT, i);
        state.get(0).setAtIndex(ValueLayout.JAVA_SHORT, i, Master.weights(bits));
        state.get(1).setAtIndex(ValueLayout.JAVA_SHORT, i, Master.remainder(bits));
      }
      TensorStep tensor =
          new TensorStep(
              state,
              new GradientValues(ElementType.F32, gradient),
              coefficients,
              Rounding.NEAREST,
              0);
      Kernel.Stepper stepper = kernel.newStepper();
      for (long from = 0; from < COUNT; from += Kernel.MAX_SLICE) {
        stepper.apply(tensor, from, (int) Math.min(Kernel.MAX_SLICE, COUNT - from));
      }
      Master.join(state.get(0), state.get(1), planes.master);
    }
  }

  private static String difference(Planes expected, Planes found) {
    long master = expected.master.mismatch(found.master);
    long momentum = expected.momentum.mismatch(found.momentum);
    long second = expected.secondMoment.mismatch(found.secondMoment);
    return (second >= 0 ? "second moment " + second / Float.BYTES + " " : "")
        + (momentum >= 0 ? "momentum " + momentum / Float.BYTES + " " : "")
        + (master >= 0 ? "master " + master / Float.BYTES : "");
  }
}
