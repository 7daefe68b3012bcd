package dev.lionstore.rule;

/** bfloat16: the upper half of a binary32. */
public final class Bf16 {
  /** The bits of the largest finite magnitude; rounding saturates here. */
  public static final int LARGEST_BITS = 0x7F7F;

  private Bf16() {}

  /** Widens, exactly. */
  public static float toFloat(short bits) {
    return Float.intBitsToFloat(bits << 16);
  }

  /** Rounds to nearest, ties to even; finite values saturate at the largest finite bfloat16. */
  public static short nearest(float value) {
    int bits = Float.floatToRawIntBits(value);
    return saturate((bits + 0x7FFF + ((bits >>> 16) & 1)) >>> 16);
  }

  /**
   * Rounds up or down; finite values saturate at the largest finite bfloat16.
   *
   * @param random16 uniform in 0…65535
   */
  public static short stochastic(float value, int random16) {
    return saturate((Float.floatToRawIntBits(value) + random16) >>> 16);
  }

  private static short saturate(int rounded) {
    return (short) ((rounded & 0x8000) | Math.min(rounded & 0x7FFF, LARGEST_BITS));
  }
}
