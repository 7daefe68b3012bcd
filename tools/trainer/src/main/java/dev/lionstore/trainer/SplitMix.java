package dev.lionstore.trainer;

/**
 * SplitMix64 as a function of a key and a counter, so that what is drawn depends on nothing that a
 * resumed run would have to restore.
 */
final class SplitMix {
  private static final long GOLDEN_GAMMA = 0x9E3779B97F4A7C15L;

  private SplitMix() {}

  /** The draw with this index in the stream that the key names. */
  static long draw(long key, long index) {
    return mix(key + GOLDEN_GAMMA * (index + 1));
  }

  /** A draw in [0, bound), by the high half of the product; the bias is below bound / 2^64. */
  static long draw(long key, long index, long bound) {
    return Math.unsignedMultiplyHigh(draw(key, index), bound);
  }

  /** A draw in [0, 1), a multiple of 2^-53. */
  static double drawUnit(long key, long index) {
    return (draw(key, index) >>> 11) * 0x1p-53;
  }

  private static long mix(long z) {
    long first = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    long second = (first ^ (first >>> 27)) * 0x94D049BB133111EBL;
    return second ^ (second >>> 31);
  }
}
