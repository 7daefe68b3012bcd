package dev.lionstore.store;

import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.BlockCode;
import dev.lionstore.rule.Coefficients;
import dev.lionstore.rule.Interpreter;
import dev.lionstore.rule.Master;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.StateType;
import dev.lionstore.rule.StochasticBits;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.state.StateView;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.file.Intent;
import dev.lionstore.store.file.LookPlaces;
import dev.lionstore.store.step.PendingGradients;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * How many changes of states that are stored as bfloat16 or in 8 bits, such as momentum, are lost
 * in rounding: exactly, the state would be another number after the step, but what is stored is the
 * same number as before.
 *
 * @param changes values looked at that the step would change if nothing were rounded
 * @param lost those of them that it leaves as they are
 */
public record RoundingLoss(long changes, long lost) {
  /** How many values of a tensor are looked at, evenly spaced, by whole blocks if there are. */
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
  static RoundingLoss of(
      StateView view, PendingGradients gradients, Intent intent, LookPlaces places) {
    RoundingLoss all = new RoundingLoss(0, 0);
    BitSet tensors = intent.tensors();
    for (int t = tensors.nextSetBit(0); t >= 0; t = tensors.nextSetBit(t + 1)) {
      UpdateRule rule = view.layout().ruleOf(view.layout().tensors().get(t));
      if (rule.statePlanes().stream().anyMatch(Plane::isRounded)) {
        all = all.plus(ofTensor(view, t, gradients.values(t), intent, places.first(t)));
      }
    }
    return all;
  }

  private RoundingLoss plus(RoundingLoss more) {
    return new RoundingLoss(changes + more.changes, lost + more.lost);
  }

  private static RoundingLoss ofTensor(
      StateView view, int tensor, GradientValues gradient, Intent intent, int firstLook) {
    StoreLayout layout = view.layout();
    TensorSpec spec = layout.tensors().get(tensor);
    UpdateRule rule = layout.ruleOf(spec);
    UpdateRule exact = rule.withState(StateType.F32);
    Coefficients k =
        exact.coefficients(
            intent.hyperparameters()[layout.groupIndex(spec)],
            intent.gradientScale(),
            view.stepCount(tensor) + 1);
    exact.look(k, intent.looks(), firstLook, k);
    Interpreter step = exact.interpreter().prepare(k, intent.rounding());
    long key = StochasticBits.key(intent.seed(), view.step(), StochasticBits.nameKey(spec.name()));
    List<MemorySegment> values =
        rule.allPlanes().stream().map(plane -> view.values(plane, tensor)).toList();
    List<State> states = new ArrayList<>();
    for (int p = 0; p < rule.statePlanes().size(); p++) {
      Plane plane = rule.statePlanes().get(p);
      MemorySegment stored = values.get(Plane.MASTER.size() + p);
      states.add(new State(plane, stored, StochasticBits.keyOfPlane(key, p)));
    }
    int[] state = new int[1 + states.size()];
    int[] unused = new int[states.size()];
    int block = rule.hasBlocks() ? BlockCode.VALUES : 1;
    long blocks = Math.ceilDiv(spec.count(), (long) block);
    long stride = block * Math.max(1, blocks * block / MOST_OF_A_TENSOR);
    RoundingLoss loss = new RoundingLoss(0, 0);
    for (long from = 0; from < spec.count(); from += stride) {
      int count = (int) Math.min(block, spec.count() - from);
      for (int i = 0; i < count; i++) {
        state[0] =
            Master.bits(
                values.get(0).get(I16, 2 * (from + i)), values.get(1).get(I16, 2 * (from + i)));
        for (int p = 0; p < states.size(); p++) {
          state[1 + p] = states.get(p).read(from, i);
        }
        step.apply(gradient.get(from + i), state, unused);
        for (int p = 0; p < states.size(); p++) {
          states.get(p).after[i] = state[1 + p];
        }
      }
      for (State each : states) {
        loss = loss.plus(each.loss(from, count, intent.rounding()));
      }
    }
    return loss;
  }

  /** A state of a tensor, and what a step makes of some consecutive values, as float32. */
  private static final class State {
    private final Plane plane;
    private final MemorySegment stored;
    private final long noiseKey;
    private final @Nullable BlockCode code;
    private final int[] before = new int[BlockCode.VALUES];
    private final int[] after = new int[BlockCode.VALUES];
    private final int[] random16 = new int[BlockCode.VALUES];
    private final MemorySegment encoded = MemorySegment.ofArray(new byte[BlockCode.BYTES]);

    State(Plane plane, MemorySegment stored, long noiseKey) {
      this.plane = plane;
      this.stored = stored;
      this.noiseKey = noiseKey;
      this.code = plane.type().isBlocks() ? new BlockCode(plane.type()) : null;
    }

    int read(long from, int i) {
      long at = from + i;
      before[i] =
          switch (plane.type()) {
            case F32 -> stored.get(I32, 4 * at);
            case BF16, I16 -> stored.get(I16, 2 * at) << 16;
            case I8, U8 -> Float.floatToRawIntBits(Objects.requireNonNull(code).value(stored, at));
          };
      return before[i];
    }

    RoundingLoss loss(long from, int count, Rounding rounding) {
      if (!plane.isRounded()) {
        return new RoundingLoss(0, 0);
      }
      for (int i = 0; i < count; i++) {
        random16[i] = StochasticBits.random16(noiseKey, from + i);
      }
      BlockCode blocks = code;
      if (blocks != null) {
        Arrays.fill(after, count, BlockCode.VALUES, 0);
        blocks.encode(after, encoded, 0, rounding, random16);
      }
      long changes = 0;
      long lost = 0;
      for (int i = 0; i < count; i++) {
        float old = Float.intBitsToFloat(before[i]);
        float exact = Float.intBitsToFloat(after[i]);
        if (exact != old) {
          changes++;
          float rounded =
              blocks == null
                  ? Float.intBitsToFloat(plane.write(exact, rounding, random16[i]) << 16)
                  : blocks.value(encoded, i);
          lost += rounded == old ? 1 : 0;
        }
      }
      return new RoundingLoss(changes, lost);
    }
  }
}
