package dev.lionstore.measure.workload;

import dev.lionstore.ElementType;
import dev.lionstore.rule.Master;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;

/**
 * Values as training has them: normal, no subnormals. They repeat after {@value #PERIOD} elements,
 * so that filling gigabytes takes a second; no kernel can tell.
 */
public final class Samples {
  private static final int PERIOD = 1 << 20;
  private static final double WEIGHT_DEVIATION = 0.02;
  private static final double GRADIENT_DEVIATION = 1e-3;

  private Samples() {}

  /** Fills a tensor's weights, remainder and momentum. */
  public static void fillState(
      MemorySegment weights, MemorySegment remainder, MemorySegment momentum) {
    fill(
        weights,
        Short.BYTES,
        new SplittableRandom(1),
        WEIGHT_DEVIATION,
        (to, i, bits) -> to.setAtIndex(ValueLayout.JAVA_SHORT, i, Master.weights(bits)));
    fill(
        remainder,
        Short.BYTES,
        new SplittableRandom(1),
        WEIGHT_DEVIATION,
        (to, i, bits) -> to.setAtIndex(ValueLayout.JAVA_SHORT, i, Master.remainder(bits)));
    fillGradient(ElementType.BF16, momentum, 2);
  }

  /** Fills a gradient; its values are those of bfloat16, except for half precision. */
  public static void fillGradient(ElementType type, MemorySegment gradient, long seed) {
    fill(
        gradient,
        type.bytes(),
        new SplittableRandom(seed),
        GRADIENT_DEVIATION,
        (to, i, bits) -> {
          switch (type) {
            case F32 -> to.setAtIndex(ValueLayout.JAVA_INT, i, bits & 0xFFFF0000);
            case BF16 -> to.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (bits >>> 16));
            case F16 ->
                to.setAtIndex(
                    ValueLayout.JAVA_SHORT, i, Float.floatToFloat16(Float.intBitsToFloat(bits)));
          }
        });
  }

  private interface Setter {
    void set(MemorySegment to, long index, int floatBits);
  }

  private static void fill(
      MemorySegment to, int elementBytes, SplittableRandom random, double deviation, Setter set) {
    long periodBytes = Math.min((long) PERIOD * elementBytes, to.byteSize());
    for (long i = 0; i < periodBytes / elementBytes; i++) {
      set.set(to, i, Float.floatToRawIntBits((float) (deviation * random.nextGaussian())));
    }
    for (long at = periodBytes; at < to.byteSize(); at += periodBytes) {
      MemorySegment.copy(to, 0, to, at, Math.min(periodBytes, to.byteSize() - at));
    }
  }
}
