package dev.lionstore.trainer;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Where a model's parameters start: a function of the seed, the tensor's index and the element's
 * index that uses StrictMath alone, so every machine starts from the same bits.
 */
public final class InitialValues {
  private InitialValues() {}

  /**
   * Fills a tensor.
   *
   * @param shape the model
   * @param tensorIndex position in {@link TransformerShape#parameters()}
   * @param seed names the run's random values
   * @param target fp32, native byte order, exactly {@link ParameterTensor#count()} elements
   */
  public static void fill(
      TransformerShape shape, int tensorIndex, long seed, MemorySegment target) {
    ParameterTensor tensor = shape.parameters().get(tensorIndex);
    if (target.byteSize() != tensor.count() * Float.BYTES) {
      throw new IllegalArgumentException(
          tensor.name()
              + " needs "
              + tensor.count() * Float.BYTES
              + " bytes, the target has "
              + target.byteSize());
    }
    long key = SplitMix.draw(seed, tensorIndex);
    for (long index = 0; index < tensor.count(); index++) {
      double value = tensor.initialMean();
      if (tensor.initialDeviation() > 0) {
        value += tensor.initialDeviation() * gaussian(key, index);
      }
      target.setAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, index, (float) value);
    }
  }

  /** Box and Muller's transform of two draws, the first of them in (0, 1]. */
  private static double gaussian(long key, long index) {
    double radius = StrictMath.sqrt(-2 * StrictMath.log(1 - SplitMix.drawUnit(key, 2 * index)));
    return radius * StrictMath.cos(2 * Math.PI * SplitMix.drawUnit(key, 2 * index + 1));
  }
}
