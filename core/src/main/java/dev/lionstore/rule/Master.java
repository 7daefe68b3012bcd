package dev.lionstore.rule;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * The exact FP32 master kept as bfloat16 weights and a 16-bit remainder: {@code bits(θ) = (weights
 * << 16) + signExtend(remainder)}. Weights are the master rounded to nearest, ties away from zero.
 */
public final class Master {
  // Constants: a loop that gets its layouts from anywhere else is a hundred times slower.
  private static final ValueLayout.OfShort I16 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt I32 =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** The bits of the largest magnitude whose weights are still finite; steps saturate here. */
  public static final int LARGEST_BITS = 0x7F7F7FFF;

  private Master() {}

  /** The bfloat16 weights of a master's bits. */
  public static short weights(int masterBits) {
    return (short) ((masterBits + 0x8000) >>> 16);
  }

  /** The remainder of a master's bits. */
  public static short remainder(int masterBits) {
    return (short) masterBits;
  }

  /** The master's bits. */
  public static int bits(short weights, short remainder) {
    return (weights << 16) + remainder;
  }

  /**
   * Writes consecutive masters as float32.
   *
   * @param weights at least as many values as there is room for
   * @param remainder likewise
   * @param to its size says how many
   */
  public static void join(MemorySegment weights, MemorySegment remainder, MemorySegment to) {
    long count = to.byteSize() / Float.BYTES;
    for (long i = 0; i < count; i++) {
      to.set(I32, 4 * i, bits(weights.get(I16, 2 * i), remainder.get(I16, 2 * i)));
    }
  }

  /** Whether a store can hold this value: finite and at most {@link #LARGEST_BITS} in magnitude. */
  public static boolean holds(float value) {
    return (Float.floatToRawIntBits(value) & 0x7FFFFFFF) <= LARGEST_BITS;
  }

  /** The value with its magnitude limited to {@link #LARGEST_BITS}; not for NaN. */
  static float saturate(float value) {
    int bits = Float.floatToRawIntBits(value);
    int magnitude = Math.min(bits & 0x7FFFFFFF, LARGEST_BITS);
    return Float.intBitsToFloat((bits & 0x80000000) | magnitude);
  }
}
