package dev.lionstore.store;

import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.BlockCode;
import dev.lionstore.rule.Interpreter;
import dev.lionstore.rule.Master;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.StateType;
import dev.lionstore.rule.StochasticBits;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.state.StateView;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.file.Intent;
import dev.lionstore.store.step.PendingGradients;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.BitSet;
import java.util.List;

/**
 * How many changes of states that are stored as bfloat16, such as momentum, are lost in rounding:
 * exactly, the state would be another number after the step, but what is stored is the same
 * bfloat16 as before.
 *
 * @param changes values looked at that the step would change if nothing were rounded
 * @param lost those of them that it leaves as they are
 */
public record RoundingLoss(long changes, long lost) {
  /** How many values of a tensor are looked at, evenly spaced. */
  private static final long MOST_OF_A_TENSOR = 4096;

  private static final ValueLayout.OfShort I16 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt I32 =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** The lost changes' share; 0 if there is none. */
  public double share() {
    return changes == 0 ? 0 : (double) lost / changes;
  }

  /** Looks before the step is taken. */
  static RoundingLoss of(StateView view, PendingGradients gradients, Intent intent) {
    RoundingLoss all = new RoundingLoss(0, 0);
    BitSet tensors = intent.tensors();
    for (int t = tensors.nextSetBit(0); t >= 0; t = tensors.nextSetBit(t + 1)) {
      UpdateRule rule = view.layout().ruleOf(view.layout().tensors().get(t));
      if (rule.statePlanes().stream().anyMatch(Plane::isRounded)) {
        all = all.plus(ofTensor(view, t, gradients.values(t), intent));
      }
    }
    return all;
  }

  private RoundingLoss plus(RoundingLoss more) {
    return new RoundingLoss(changes + more.changes, lost + more.lost);
  }

  private static RoundingLoss ofTensor(
      StateView view, int tensor, GradientValues gradient, Intent intent) {
    StoreLayout layout = view.layout();
    TensorSpec spec = layout.tensors().get(tensor);
    UpdateRule rule = layout.ruleOf(spec);
    UpdateRule exact = rule.withState(StateType.F32);
    Interpreter step =
        exact
            .interpreter()
            .prepare(
                exact.coefficients(
                    intent.hyperparameters()[layout.groupIndex(spec)],
                    intent.gradientScale(),
                    view.stepCount(tensor) + 1),
                intent.rounding());
    long key = StochasticBits.key(intent.seed(), view.step(), StochasticBits.nameKey(spec.name()));
    List<MemorySegment> values =
        rule.allPlanes().stream().map(plane -> view.values(plane, tensor)).toList();
    List<Plane> states = rule.statePlanes();
    int[] state = new int[1 + states.size()];
    int[] unused = new int[states.size()];
    long stride = Math.max(1, spec.count() / MOST_OF_A_TENSOR);
    RoundingLoss loss = new RoundingLoss(0, 0);
    for (long i = 0; i < spec.count(); i += stride) {
      read(states, values, i, state);
      int[] before = state.clone();
      step.apply(gradient.get(i), state, unused);
      for (int p = 0; p < states.size(); p++) {
        if (states.get(p).type() == Plane.Type.BF16) {
          int random16 = StochasticBits.random16(StochasticBits.keyOfPlane(key, p), i);
          float after = Float.intBitsToFloat(state[1 + p]);
          int stored = states.get(p).write(after, intent.rounding(), random16);
          loss = loss.plus(ofValue(Float.intBitsToFloat(before[1 + p]), after, (short) stored));
        }
      }
    }
    return loss;
  }

  private static RoundingLoss ofValue(float before, float after, short stored) {
    boolean changes = after != before;
    boolean isLost = changes && stored == (short) (Float.floatToRawIntBits(before) >>> 16);
    return new RoundingLoss(changes ? 1 : 0, isLost ? 1 : 0);
  }

  /** Reads an element's master and states, all of them as float32. */
  private static void read(List<Plane> states, List<MemorySegment> values, long i, int[] state) {
    state[0] = Master.bits(values.get(0).get(I16, 2 * i), values.get(1).get(I16, 2 * i));
    for (int p = 0; p < states.size(); p++) {
      MemorySegment plane = values.get(Plane.MASTER.size() + p);
      state[1 + p] =
          switch (states.get(p).type()) {
            case F32 -> plane.get(I32, 4 * i);
            case BF16, I16 -> plane.get(I16, 2 * i) << 16;
            case I8, U8 ->
                Float.floatToRawIntBits(new BlockCode(states.get(p).type()).value(plane, i));
          };
    }
  }
}
