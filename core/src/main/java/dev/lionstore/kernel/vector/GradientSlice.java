package dev.lionstore.kernel.vector;

import dev.lionstore.ElementType;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import java.lang.foreign.MemorySegment;

/**
 * A part of a gradient that vectors can be read from to its end: where it is, or a copy if it is on
 * the heap or does not fill the last vector.
 */
final class GradientSlice {
  private final MemorySegment copy = Random16.scratch(Kernel.MAX_SLICE * Float.BYTES);
  private ElementType type = ElementType.F32;
  private long address;

  /**
   * Takes another part.
   *
   * @param from the index of its first value
   * @param count at most {@link Kernel#MAX_SLICE}
   * @param padded at least as many, at most {@link Kernel#MAX_SLICE}; what is from count to there
   *     is zero
   */
  void set(GradientValues gradient, long from, int count, int padded) {
    type = gradient.type();
    int bytes = type.bytes();
    if (count == padded && gradient.data().isNative()) {
      address = Lanes.address(gradient.data(), from * bytes, (long) count * bytes);
      return;
    }
    MemorySegment.copy(gradient.data(), from * bytes, copy, 0, (long) count * bytes);
    copy.asSlice((long) count * bytes, (long) (padded - count) * bytes).fill((byte) 0);
    address = copy.address();
  }

  ElementType type() {
    return type;
  }

  /** Where its first value is. */
  long address() {
    return address;
  }
}
