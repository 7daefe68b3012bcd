package dev.lionstore.checkpoint;

import dev.lionstore.rule.Master;
import dev.lionstore.rule.StochasticBits;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.SplittableRandom;

/**
 * A tensor's random masters: a function of seed, tensor name and position alone, so that threads
 * and pieces do not matter. Element i takes the i-th output of a {@link SplittableRandom} (Steele,
 * Lea and Flood 2014), whose state is a sum and can begin anywhere. Thread-safe.
 */
final class RandomValues {
  private static final ValueLayout.OfShort I16 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** A step that no stochastic rounding takes its bits from. */
  private static final long BEFORE_THE_FIRST_STEP = -1;

  /** What {@link SplittableRandom} adds to its state for each output. */
  private static final long GOLDEN_GAMMA = 0x9E3779B97F4A7C15L;

  private final InitialTensor.Normal distribution;
  private final long key;

  RandomValues(InitialTensor tensor, long seed) {
    this.distribution = tensor.distribution();
    this.key =
        StochasticBits.key(
            seed, BEFORE_THE_FIRST_STEP, StochasticBits.nameKey(tensor.declared().name()));
  }

  /** Whether every master is +0, as a new store's are. */
  boolean areZero() {
    return distribution.equals(InitialTensor.Normal.ZERO);
  }

  /**
   * Writes the masters of consecutive elements.
   *
   * @param first the index of the first
   * @param weights two bytes for each; the size says how many
   * @param remainder of the same size
   */
  void write(long first, MemorySegment weights, MemorySegment remainder) {
    double mean = distribution.mean();
    double deviation = distribution.deviation();
    SplittableRandom random = new SplittableRandom(key + GOLDEN_GAMMA * first);
    long size = weights.byteSize();
    for (long at = 0; at < size; at += Short.BYTES) {
      float value = (float) (mean + deviation * StandardNormal.of(random.nextLong()));
      int bits = Float.floatToRawIntBits(value);
      weights.set(I16, at, Master.weights(bits));
      remainder.set(I16, at, Master.remainder(bits));
    }
  }
}
