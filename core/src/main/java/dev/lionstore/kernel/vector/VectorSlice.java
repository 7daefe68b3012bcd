package dev.lionstore.kernel.vector;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A slice of a tensor as the loops of a rule get it; for one thread. */
final class VectorSlice {
  private final Plane.Type[] types;
  private final @Nullable VectorBlocks[] blocks;
  private final Random16[] random16;
  private final LoopArguments arguments = new LoopArguments();

  /** Gradients of a slice that are not pairs of bfloat16: the even ones, then the odd ones. */
  private final MemorySegment floats = Random16.scratch(Kernel.MAX_SLICE * Float.BYTES);

  private final GradientSlice gradient = new GradientSlice();

  VectorSlice(UpdateRule rule) {
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
  }

  /**
   * Takes another slice.
   *
   * @param count elements that have a gradient
   * @param padded those of whole granules, at most {@link Kernel#MAX_SLICE}
   * @param rounding of the states, if they will be stored
   * @return what is the same object always; it saves nowhere
   */
  LoopArguments set(TensorStep tensor, long from, int count, int padded, Rounding rounding) {
    gradient.set(tensor.gradient(), from, count, padded);
    LoopArguments a = arguments;
    a.count = padded;
    a.coefficients = tensor.coefficients().values();
    setGradient(a, padded);
    a.weights = Lanes.address(tensor.planes().get(0), 2 * from, 2L * padded);
    a.remainder = Lanes.address(tensor.planes().get(1), 2 * from, 2L * padded);
    a.stochastic = rounding == Rounding.STOCHASTIC;
    for (int p = 0; p < types.length; p++) {
      setState(a, p, tensor, from);
    }
    a.undo = 0;
    return a;
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

  /** Encodes states that have blocks, after a step. */
  void encode(TensorStep tensor, long from, int count) {
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
    boolean pairs = gradient.type() == ElementType.BF16;
    if (!pairs) {
      Lanes.split(gradient, floats.address(), count);
    }
    a.even = pairs ? gradient.address() : floats.address();
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
