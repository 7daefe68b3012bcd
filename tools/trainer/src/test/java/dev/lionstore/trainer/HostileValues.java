package dev.lionstore.trainer;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Values that tell apart what is nearly the same arithmetic: of each step's gradients half cancel
 * the momentum to a few units in the last place, the rest are of every magnitude from subnormal to
 * 1e37, with zeros of both signs.
 */
record HostileValues(long seed) {
  /** Far enough below overflow that a mean of momentum and gradient stays finite in bf16. */
  private static final float LARGEST = 1e37f;

  void fillMaster(MemorySegment master, long count) {
    for (long i = 0; i < count; i++) {
      master.setAtIndex(ValueLayout.JAVA_FLOAT, i, anyMagnitude(SplitMix.draw(seed, 2 * i)));
    }
  }

  void fillMomentum(MemorySegment momentum, long count) {
    for (long i = 0; i < count; i++) {
      int bits = Float.floatToRawIntBits(anyMagnitude(SplitMix.draw(seed, 2 * i + 1)));
      momentum.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (bits >>> 16));
    }
  }

  void fillGradient(
      MemorySegment gradient, MemorySegment momentum, long count, long step, double beta1) {
    float ratio = (float) (-beta1 / (1 - beta1));
    long key = SplitMix.draw(seed + 1, step);
    for (long i = 0; i < count; i++) {
      long random = SplitMix.draw(key, i);
      float m = Float.intBitsToFloat(momentum.getAtIndex(ValueLayout.JAVA_SHORT, i) << 16);
      float cancelling = ratio * m;
      boolean cancels = ((i + step) & 1) == 0 && Math.abs(cancelling) < LARGEST;
      float value = cancels ? nudge(cancelling, random) : anyMagnitude(random);
      gradient.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
    }
  }

  /** Up to four units in the last place away, on either side. */
  private static float nudge(float value, long random) {
    int ulps = (int) Math.unsignedMultiplyHigh(random, 9) - 4;
    int bits = Float.floatToRawIntBits(value);
    int magnitude = Math.abs((bits & Integer.MAX_VALUE) + ulps);
    return Float.intBitsToFloat((bits & Integer.MIN_VALUE) | magnitude);
  }

  private static float anyMagnitude(long random) {
    int sign = (int) (random & 1) << 31;
    int fraction = (int) (random >>> 41);
    int choice = (int) (random >>> 1) & 15;
    if (choice == 0) {
      return Float.intBitsToFloat(sign);
    }
    if (choice <= 2) {
      return Float.intBitsToFloat(sign | fraction);
    }
    if (choice == 3) {
      int exponent = (int) (random >>> 8 & 0xFF) % Math.getExponent(LARGEST) + 127;
      return Float.intBitsToFloat(sign | exponent << 23 | fraction);
    }
    // Around 1e-3, where training lives: exponents -16 to -1.
    int exponent = (int) (random >>> 8 & 15) + 111;
    return Float.intBitsToFloat(sign | exponent << 23 | fraction);
  }
}
