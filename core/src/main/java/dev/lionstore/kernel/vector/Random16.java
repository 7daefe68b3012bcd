package dev.lionstore.kernel.vector;

import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.rule.StochasticBits;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.stream.IntStream;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/** Random bits of a slice for stochastic rounding, 16 per element, in the order of elements. */
final class Random16 {
  /** What slices are rounded up to: the elements that share hashes; divides the padding. */
  static final int GRANULE = 32;

  /** The hashes of a granule: one serves two elements, so far apart. */
  private static final int HASHES = GRANULE / 2;

  private static final VectorSpecies<Integer> I32 = Lanes.I32;
  private static final int LANES = I32.length();

  /** Whether a vector has all hashes of a granule. */
  static final boolean WHOLE_GRANULES = LANES == HASHES;

  private static final VectorSpecies<Short> I16 = VectorSpecies.of(short.class, I32.vectorShape());

  /** The odd ones of neighbouring 16-bit lanes. */
  private static final VectorMask<Short> ODD = VectorMask.fromLong(I16, 0xAAAAAAAAL);

  /** The low halves of 32-bit lanes, then the high ones. */
  static final VectorShuffle<Short> LOW_THEN_HIGH =
      VectorShuffle.fromOp(I16, lane -> 2 * (lane % LANES) + lane / LANES);

  /** What each lane adds to the first one's counter, multiplied: with two vectors every second. */
  static final int[] PRODUCTS =
      IntStream.range(0, LANES)
          .map(lane -> (WHOLE_GRANULES ? lane : 2 * lane) * StochasticBits.GOLDEN_32)
          .toArray();

  private final MemorySegment memory = scratch(Kernel.MAX_SLICE * Short.BYTES);

  @SuppressWarnings("MustBeClosedChecker") // freed with its owner
  static MemorySegment scratch(int bytes) {
    return Arena.ofAuto().allocate(bytes, Long.BYTES * Byte.SIZE);
  }

  /** A slice's elements in whole granules. */
  static int padded(int count) {
    return (count + GRANULE - 1) & -GRANULE;
  }

  /** Where they are. */
  long address() {
    return memory.address();
  }

  /**
   * Makes those of a slice.
   *
   * @param statePlane which of the rule's state planes they round
   * @param from the index of the first element in the tensor's planes
   * @param count whole granules, at most {@link Kernel#MAX_SLICE}
   */
  void fill(TensorStep tensor, int statePlane, long from, int count) {
    long counter = counter(tensor, from);
    long key = key(tensor, statePlane, counter);
    int low = (int) key;
    int high = (int) (key >>> 32);
    if (WHOLE_GRANULES) {
      wholeGranules(memory.address(), count / 2, (int) counter, low, high);
    } else {
      randomBits(memory.address(), count / 2, (int) counter, low, high);
    }
  }

  /** The counter of the hash that serves an element first in a granule. */
  static long counter(TensorStep tensor, long from) {
    return StochasticBits.counter(tensor.origin() + from);
  }

  /** What the hashes of counters from this one on have in common. */
  static long key(TensorStep tensor, int statePlane, long counter) {
    long planeKey = StochasticBits.keyOfPlane(tensor.noiseKey(), statePlane);
    return StochasticBits.keyForCounter(planeKey, counter);
  }

  /** As {@link #randomBits}, a granule in a vector. */
  private static void wholeGranules(
      long random16, int count, int counter, int keyLow, int keyHigh) {
    for (int i = 0; i < count; i += LANES) {
      int first = (counter + i) * StochasticBits.GOLDEN_32 + keyLow;
      IntVector a = IntVector.fromArray(I32, PRODUCTS, 0).add(first);
      a = a.lanewise(VectorOperators.XOR, keyHigh);
      a = a.lanewise(VectorOperators.XOR, a.lanewise(VectorOperators.LSHR, 16));
      a = a.mul(StochasticBits.FMIX_1);
      a = a.lanewise(VectorOperators.XOR, a.lanewise(VectorOperators.LSHR, 13));
      a = a.mul(StochasticBits.FMIX_2);
      a.lanewise(VectorOperators.XOR, a.lanewise(VectorOperators.LSHR, 16))
          .reinterpretAsShorts()
          .rearrange(LOW_THEN_HIGH)
          .reinterpretAsInts()
          .intoMemorySegment(Lanes.MEMORY, random16 + 4L * i, Lanes.ORDER);
    }
  }

  /**
   * Random bits in the order of elements. One hash serves two of them, {@link #HASHES} apart. What
   * a lane adds to the counter is multiplied beforehand.
   *
   * @param random16 where they go, as an address
   * @param count of hashes, a multiple of {@link #HASHES}
   */
  private static void randomBits(long random16, int count, int counter, int keyLow, int keyHigh) {
    for (int i = 0; i < count; i += 2 * LANES) {
      int first = (counter + i) * StochasticBits.GOLDEN_32 + keyLow;
      IntVector a = IntVector.fromArray(I32, PRODUCTS, 0).add(first);
      IntVector b = a.add(StochasticBits.GOLDEN_32);
      a = a.lanewise(VectorOperators.XOR, keyHigh);
      b = b.lanewise(VectorOperators.XOR, keyHigh);
      a = a.lanewise(VectorOperators.XOR, a.lanewise(VectorOperators.LSHR, 16));
      b = b.lanewise(VectorOperators.XOR, b.lanewise(VectorOperators.LSHR, 16));
      a = a.mul(StochasticBits.FMIX_1);
      b = b.mul(StochasticBits.FMIX_1);
      a = a.lanewise(VectorOperators.XOR, a.lanewise(VectorOperators.LSHR, 13));
      b = b.lanewise(VectorOperators.XOR, b.lanewise(VectorOperators.LSHR, 13));
      a = a.mul(StochasticBits.FMIX_2);
      b = b.mul(StochasticBits.FMIX_2);
      ShortVector high =
          a.lanewise(VectorOperators.LSHR, 16)
              .reinterpretAsShorts()
              .blend(b.reinterpretAsShorts(), ODD);
      IntVector highs = high.reinterpretAsInts();
      IntVector lows =
          a.reinterpretAsShorts()
              .blend(b.lanewise(VectorOperators.LSHL, 16).reinterpretAsShorts(), ODD)
              .lanewise(VectorOperators.XOR, high)
              .reinterpretAsInts();
      long to = random16 + 2L * (2 * i - i % HASHES);
      lows.intoMemorySegment(Lanes.MEMORY, to, Lanes.ORDER);
      highs.intoMemorySegment(Lanes.MEMORY, to + 2 * HASHES, Lanes.ORDER);
    }
  }
}
