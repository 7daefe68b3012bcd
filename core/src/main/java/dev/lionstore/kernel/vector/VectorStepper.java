package dev.lionstore.kernel.vector;

import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.kernel.Undo;
import dev.lionstore.rule.UpdateRule;
import org.jspecify.annotations.Nullable;

/**
 * Steps slices by a rule's loop. Whole granules are computed at a tensor's end: the padding's zeros
 * stay zeros.
 */
final class VectorStepper implements Kernel.Stepper {
  private final Loop loop;
  private final VectorSlice slice;
  private final boolean hasBlocks;
  private final long undoBytes;

  VectorStepper(UpdateRule rule, Loop loop) {
    this.loop = loop;
    this.slice = new VectorSlice(rule);
    this.hasBlocks = rule.hasBlocks();
    this.undoBytes = Undo.bytes(rule);
  }

  @Override
  public void apply(TensorStep tensor, long from, int count) {
    step(tensor, from, count, null);
  }

  @Override
  public void apply(TensorStep tensor, long from, int count, Undo undo) {
    if (hasBlocks) {
      // A loop saves what it reads, which is not what a block is stored as.
      Kernel.Stepper.super.apply(tensor, from, count, undo);
    } else {
      step(tensor, from, count, undo);
    }
  }

  /** Steps whole units where the gradient is, and the rest with a copy of it. */
  private void step(TensorStep tensor, long from, int count, @Nullable Undo undo) {
    int whole = tensor.gradient().data().isNative() ? count - count % Undo.UNIT : 0;
    if (whole > 0) {
      stepSlice(tensor, from, whole, whole, undo);
    }
    if (whole < count) {
      int rest = count - whole;
      stepSlice(tensor, from + whole, rest, Random16.padded(rest), undo);
    }
  }

  private void stepSlice(TensorStep tensor, long from, int count, int padded, @Nullable Undo undo) {
    LoopArguments a = slice.set(tensor, from, count, padded, tensor.rounding());
    if (undo != null) {
      a.undo = Lanes.address(undo.memory(), undo.unitsOffset(), undoBytes);
      a.undoWord = Lanes.address(undo.memory(), undo.wordOffset(), Long.BYTES);
      a.word = undo.word(from);
      a.parity = (int) from & Undo.UNIT;
    }
    loop.step(a);
    if (hasBlocks) {
      slice.encode(tensor, from, padded);
    }
  }
}
