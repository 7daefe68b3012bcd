package dev.lionstore.kernel;

import dev.lionstore.ElementType;
import java.util.SplittableRandom;

/** Values that break a careless kernel. */
final class Hostile {
  private Hostile() {}

  /** Any finite float: uniform over bit patterns, so that subnormals and extremes are frequent. */
  static float anyFinite(SplittableRandom random) {
    float value = Float.intBitsToFloat(random.nextInt());
    return Float.isFinite(value) ? value : random.nextBoolean() ? 0f : -0f;
  }

  /** Any finite bfloat16. */
  static short anyFiniteBf16(SplittableRandom random) {
    return (short) (Float.floatToRawIntBits(anyFinite(random)) >>> 16);
  }

  /**
   * The bits of a gradient of the type: any finite value, or one so close to -b1/o1·m that the
   * update nearly cancels.
   */
  static int gradientBits(SplittableRandom random, ElementType type, float momentum) {
    boolean cancel = random.nextBoolean();
    float near = -momentum * (0.9f / (float) (1 - 0.9));
    near = Float.intBitsToFloat(Float.floatToRawIntBits(near) + random.nextInt(-3, 4));
    float value = cancel && Float.isFinite(near) ? near : anyFinite(random);
    return switch (type) {
      case F32 -> Float.floatToRawIntBits(value);
      case BF16 -> Float.floatToRawIntBits(value) >>> 16;
      case F16 -> {
        short half = cancel ? Float.floatToFloat16(value) : (short) random.nextInt();
        yield (half & 0x7C00) == 0x7C00 ? half & 0x83FF : half;
      }
    };
  }
}
