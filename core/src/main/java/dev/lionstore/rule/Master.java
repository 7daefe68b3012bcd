package dev.lionstore.rule;

/**
 * The exact FP32 master kept as bfloat16 weights and a 16-bit remainder: {@code bits(θ) = (weights
 * << 16) + signExtend(remainder)}. Weights are the master rounded to nearest, ties away from zero.
 */
public final class Master {
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
