package dev.lionstore.kernel.vector;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.kernel.Undo;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Steps slices by a rule's loop. Whole granules are computed at a tensor's end: the padding's zeros
 * stay zeros.
 */
final class VectorStepper implements Kernel.Stepper {
  private final Loop loop;
  private final Plane.Type[] types;
  private final @Nullable VectorBlocks[] blocks;
  private final boolean hasBlocks;
  private final long undoBytes;
  private final Random16[] random16;
  private final LoopArguments arguments = new LoopArguments();

  /** Gradients of a slice that are not pairs of bfloat16: the even ones, then the odd ones. */
  private final MemorySegment floats = Random16.scratch(Kernel.MAX_SLICE * Float.BYTES);

  private final GradientSlice slice = new GradientSlice();

  VectorStepper(UpdateRule rule, Loop loop) {
    this.loop = loop;
    List<Plane> states = rule.statePlanes();
    this.types = states.stream().map(Plane::type).toArray(Plane.Type[]::new);
    this.blocks = new VectorBlocks[types.length];
    this.random16 = new Random16[types.length];
    for (int p = 0; p < types.length; p++) {
      random16[p] = new Random16();
      if (types[p].isBlocks()) {
        blocks[p] = VectorBlocks.of(types[p]);
      }
    }
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
      slice.set(tensor.gradient(), from, whole, whole);
      stepSlice(tensor, from, whole, undo);
    }
    if (whole < count) {
      int padded = Random16.padded(count - whole);
      slice.set(tensor.gradient(), from + whole, count - whole, padded);
      stepSlice(tensor, from + whole, padded, undo);
    }
  }

  private void stepSlice(TensorStep tensor, long from, int count, @Nullable Undo undo) {
    LoopArguments a = arguments;
    a.count = count;
    a.coefficients = tensor.coefficients().values();
    setGradient(a, count);
    a.weights = Lanes.address(tensor.planes().get(0), 2 * from, 2L * count);
    a.remainder = Lanes.address(tensor.planes().get(1), 2 * from, 2L * count);
    a.stochastic = tensor.rounding() == Rounding.STOCHASTIC;
    for (int p = 0; p < types.length; p++) {
      setState(a, p, tensor, from);
    }
    a.undo = 0;
    if (undo != null) {
      a.undo = Lanes.address(undo.memory(), undo.unitsOffset(), undoBytes);
      a.undoWord = Lanes.address(undo.memory(), undo.wordOffset(), Long.BYTES);
      a.word = undo.word(from);
      a.parity = (int) from & Undo.UNIT;
    }
    loop.step(a);
    if (hasBlocks) {
      encode(tensor, from, count);
    }
  }

  private void setState(LoopArguments a, int state, TensorStep tensor, long from) {
    VectorBlocks decoded = blocks[state];
    if (decoded != null) {
      decoded.decode(address(tensor, state, from, a.count), a.count);
      a.planes[state] = decoded.values();
    } else {
      a.planes[state] = address(tensor, state, from, a.count);
      if (a.stochastic && types[state] == Plane.Type.BF16) {
        setRandom(a, state, tensor, from);
      }
    }
  }

  private void encode(TensorStep tensor, long from, int count) {
    for (int p = 0; p < types.length; p++) {
      VectorBlocks stepped = blocks[p];
      if (stepped != null) {
        if (tensor.rounding() == Rounding.STOCHASTIC) {
          random16[p].fill(tensor, p, from, count);
        }
        long to = address(tensor, p, from, count);
        stepped.encode(to, count, tensor.rounding(), random16[p].address());
      }
    }
  }

  private long address(TensorStep tensor, int state, long from, int count) {
    MemorySegment plane = tensor.planes().get(Plane.MASTER.size() + state);
    return Lanes.address(plane, types[state].bytes(from), types[state].bytes(count));
  }

  private void setGradient(LoopArguments a, int count) {
    boolean pairs = slice.type() == ElementType.BF16;
    if (!pairs) {
      Lanes.split(slice, floats.address(), count);
    }
    a.even = pairs ? slice.address() : floats.address();
    a.odd = pairs ? a.even : a.even + Lanes.ODD_OFFSET;
    a.evenShift = pairs ? 16 : 0;
    a.oddMask = pairs ? 0xFFFF0000 : -1;
  }

  /**
   * Where a vector has the hashes of a granule, the loop makes them: others would leave memory
   * idle.
   */
  private void setRandom(LoopArguments a, int plane, TensorStep tensor, long from) {
    if (!Random16.WHOLE_GRANULES) {
      random16[plane].fill(tensor, plane, from, a.count);
      a.random16[plane] = random16[plane].address();
      return;
    }
    long counter = Random16.counter(tensor, from);
    long key = Random16.key(tensor, plane, counter);
    a.counter = (int) counter;
    a.keyLow[plane] = (int) key;
    a.keyHigh[plane] = (int) (key >>> 32);
  }
}
