package dev.lionstore.rule;

/** The operations of formulas that Java has no operator for; their meaning. */
final class FormulaMath {
  private FormulaMath() {}

  /** -1, 0 or 1; +0 for both zeros. */
  static float sign(float x) {
    return x > 0 ? 1 : x < 0 ? -1 : 0;
  }

  /** Not {@link Math#min}: zeros and NaN are no exception. */
  static float min(float a, float b) {
    return a < b ? a : b;
  }

  static float max(float a, float b) {
    return a > b ? a : b;
  }

  /** The magnitude limited, by bits: NaN becomes the limit. */
  static float clip(float x, float limit) {
    int bits = Float.floatToRawIntBits(x);
    int magnitude = Math.min(bits & 0x7FFFFFFF, Float.floatToRawIntBits(limit));
    return Float.intBitsToFloat((bits & 0x80000000) | magnitude);
  }

  static float saturate(float x) {
    return clip(x, Float.MAX_VALUE);
  }

  static float bf16(float x) {
    return Bf16.toFloat(Bf16.nearest(x));
  }
}
