package dev.lionstore.kernel;

import dev.lionstore.Rounding;
import dev.lionstore.rule.Master;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.StochasticBits;
import dev.lionstore.rule.UpdateRule;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Optional;

/** Any rule's scalar reference over a store's planes; never optimised. */
public record ScalarKernel(UpdateRule rule) implements Kernel, Kernel.Stepper {
  private static final ValueLayout.OfShort I16 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt I32 =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final String BACKEND = "scalar";

  @Override
  public String backend() {
    return BACKEND;
  }

  @Override
  public Stepper newStepper() {
    return this;
  }

  @Override
  public void close() {}

  @Override
  public void apply(TensorStep tensor, long from, int count) {
    UpdateRule.ScalarStep step = rule.scalar(tensor.coefficients(), tensor.rounding());
    int[] state = new int[1 + rule.statePlanes().size()];
    int[] random16 = new int[rule.statePlanes().size()];
    for (long i = from; i < from + count; i++) {
      read(tensor.planes(), i, state);
      if (tensor.rounding() == Rounding.STOCHASTIC) {
        for (int p = 0; p < random16.length; p++) {
          long key = StochasticBits.keyOfPlane(tensor.noiseKey(), p);
          random16[p] = StochasticBits.random16(key, tensor.origin() + i);
        }
      }
      step.apply(tensor.gradient().get(i), state, random16);
      write(tensor.planes(), i, state);
    }
  }

  @Override
  public double sumOfSquares(GradientValues gradient, long from, int count) {
    double[] partial = new double[NORM_LANES];
    for (int i = 0; i < count; i++) {
      double value = gradient.get(from + i);
      partial[i % NORM_LANES] += value * value;
    }
    double sum = 0;
    for (double part : partial) {
      sum += part;
    }
    return sum;
  }

  private void read(List<MemorySegment> planes, long i, int[] state) {
    state[0] = Master.bits(planes.get(0).get(I16, 2 * i), planes.get(1).get(I16, 2 * i));
    for (int p = 1; p < state.length; p++) {
      MemorySegment plane = planes.get(p + 1);
      state[p] = isWide(p) ? plane.get(I32, 4 * i) : plane.get(I16, 2 * i);
    }
  }

  private void write(List<MemorySegment> planes, long i, int[] state) {
    planes.get(0).set(I16, 2 * i, Master.weights(state[0]));
    planes.get(1).set(I16, 2 * i, Master.remainder(state[0]));
    for (int p = 1; p < state.length; p++) {
      MemorySegment plane = planes.get(p + 1);
      if (isWide(p)) {
        plane.set(I32, 4 * i, state[p]);
      } else {
        plane.set(I16, 2 * i, (short) state[p]);
      }
    }
  }

  private boolean isWide(int stateIndex) {
    return rule.statePlanes().get(stateIndex - 1).type() == Plane.Type.F32;
  }

  /** Offers the reference for every rule. */
  public static final class Provider implements KernelProvider {
    @Override
    public String backend() {
      return BACKEND;
    }

    @Override
    public String reason() {
      return "the scalar reference, for checking";
    }

    @Override
    public int preference() {
      return 0;
    }

    @Override
    public Optional<Kernels.Selection> open(UpdateRule rule, DeviceRequest request) {
      return Optional.of(new Kernels.Selection(new ScalarKernel(rule), reason()));
    }
  }
}
