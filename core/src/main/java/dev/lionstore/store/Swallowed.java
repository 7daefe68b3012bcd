package dev.lionstore.store;

import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.StochasticBits;
import dev.lionstore.rule.UpdateRule;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.BitSet;

/**
 * How many changes of momentum are lost in rounding: exactly, momentum would be another number
 * after the step, but what is stored is the same bfloat16 as before.
 *
 * @param changes values looked at that the step would change if nothing were rounded
 * @param lost those of them that it leaves as they are
 */
public record Swallowed(long changes, long lost) {
  /** How many values of a tensor are looked at, evenly spaced. */
  private static final long MOST_OF_A_TENSOR = 4096;

  private static final ValueLayout.OfShort I16 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** The lost changes' share; 0 if there is none. */
  public double share() {
    return changes == 0 ? 0 : (double) lost / changes;
  }

  /** Looks before the step is taken. */
  static Swallowed of(StateView view, PendingGradients gradients, Intent intent) {
    Plane momentum = view.layout().rule().statePlanes().getFirst();
    long changes = 0;
    long lost = 0;
    BitSet tensors = intent.tensors();
    for (int t = tensors.nextSetBit(0);
        t >= 0 && momentum.isRounded();
        t = tensors.nextSetBit(t + 1)) {
      Swallowed one = ofTensor(view, t, gradients.values(t), intent);
      changes += one.changes();
      lost += one.lost();
    }
    return new Swallowed(changes, lost);
  }

  private static Swallowed ofTensor(
      StateView view, int tensor, GradientValues gradient, Intent intent) {
    StoreLayout layout = view.layout();
    TensorSpec spec = layout.tensors().get(tensor);
    UpdateRule exact = layout.rule().withFloatMoments();
    Plane plane = layout.rule().statePlanes().getFirst();
    MemorySegment values = view.values(plane, tensor);
    UpdateRule.ScalarStep step =
        exact.scalar(
            exact.coefficients(
                intent.hyperparameters()[layout.groupIndex(spec)],
                intent.gradientScale(),
                view.stepCount(tensor) + 1),
            intent.rounding());
    long key = StochasticBits.key(intent.seed(), view.step(), StochasticBits.nameKey(spec.name()));
    int[] state = new int[1 + exact.statePlanes().size()];
    int[] unused = new int[exact.statePlanes().size()];
    long stride = Math.max(1, spec.count() / MOST_OF_A_TENSOR);
    long changes = 0;
    long lost = 0;
    for (long i = 0; i < spec.count(); i += stride) {
      short before = values.get(I16, 2 * i);
      state[1] = before << 16;
      step.apply(gradient.get(i), state, unused);
      float after = Float.intBitsToFloat(state[1]);
      if (after != Float.intBitsToFloat(before << 16)) {
        changes++;
        int stored = plane.write(after, intent.rounding(), StochasticBits.random16(key, i));
        lost += (short) stored == before ? 1 : 0;
      }
    }
    return new Swallowed(changes, lost);
  }
}
