package dev.lionstore.kernel.vector;

import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.rule.Bf16;
import dev.lionstore.rule.Lion.LionCoefficients;
import dev.lionstore.rule.Master;
import dev.lionstore.rule.StochasticBits;
import java.lang.foreign.MemorySegment;
import java.util.stream.IntStream;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * The Lion step of {@code core/ARITHMETIC.md} in vectors. A slice passes several short loops, each
 * a method of its own: C2 gives up inlining in one long body and boxes every vector then. Whole
 * vectors are computed at a tensor's end: the padding's zeros stay zeros.
 */
final class VectorLion implements Kernel.Stepper {
  private static final int SIGN = 0x80000000;
  private static final int MAGNITUDE = 0x7FFFFFFF;

  /** The magnitude beyond which every random number gives {@link Bf16#LARGEST_BITS}. */
  private static final int STOCHASTIC_LIMIT = Bf16.LARGEST_BITS << 16;

  /** What slices are rounded up to: the elements that share hashes; divides the padding. */
  private static final int GRANULE = 32;

  /** The hashes of a granule: one serves two elements, so far apart. */
  private static final int HASHES = GRANULE / 2;

  private static final int[] LANE_PRODUCTS =
      IntStream.range(0, 2 * Lanes.COUNT).map(lane -> lane * StochasticBits.GOLDEN_32).toArray();

  /** With room for what a last odd vector of hashes gives in excess. */
  private final int[] random16 = new int[Kernel.MAX_SLICE + GRANULE];

  private final float[] gradient = new float[Kernel.MAX_SLICE];
  private final GradientNorm norm = new GradientNorm();

  @Override
  public double sumOfSquares(GradientValues values, long from, int count) {
    return norm.sumOfSquares(values, from, count);
  }

  @Override
  public void apply(TensorStep tensor, long from, int count) {
    LionCoefficients k = (LionCoefficients) tensor.coefficients();
    MemorySegment momentum = tensor.planes().get(2);
    int padded = (count + GRANULE - 1) & -GRANULE;
    Lanes.widen(tensor.gradient(), from, count, gradient, padded);
    if (k.gradientScale() != 1) {
      scale(gradient, padded, k.gradientScale());
    }
    stepMaster(gradient, tensor.planes().get(0), tensor.planes().get(1), momentum, from, padded, k);
    switch (tensor.rounding()) {
      case NEAREST -> stepMomentumNearest(gradient, momentum, from, padded, k.b2(), k.o2());
      case STOCHASTIC -> {
        long counter = StochasticBits.counter(from);
        long key = StochasticBits.keyForCounter(tensor.noiseKey(), counter);
        randomBits(random16, padded / 2, (int) counter, (int) key, (int) (key >>> 32));
        stepMomentumStochastic(gradient, random16, momentum, from, padded, k.b2(), k.o2());
      }
    }
  }

  private static void scale(float[] gradient, int count, float scale) {
    for (int i = 0; i < count; i += Lanes.COUNT) {
      FloatVector.fromArray(Lanes.F32, gradient, i).mul(scale).intoArray(gradient, i);
    }
  }

  private static void stepMaster(
      float[] gradient,
      MemorySegment weights,
      MemorySegment remainder,
      MemorySegment momentum,
      long from,
      int count,
      LionCoefficients k) {
    FloatVector o1 = FloatVector.broadcast(Lanes.F32, k.o1());
    IntVector lr = IntVector.broadcast(Lanes.I32, Float.floatToRawIntBits(k.lr()));
    FloatVector zero = FloatVector.zero(Lanes.F32);
    for (int i = 0; i < count; i += Lanes.COUNT) {
      FloatVector g = FloatVector.fromArray(Lanes.F32, gradient, i);
      FloatVector m = Lanes.loadBf16(momentum, from + i);
      FloatVector c = g.fma(o1, m.mul(k.b1()));
      FloatVector update =
          c.reinterpretAsInts()
              .and(SIGN)
              .or(lr)
              .reinterpretAsFloats()
              .blend(zero, c.compare(VectorOperators.EQ, 0f));
      FloatVector master =
          Lanes.loadUnsigned(weights, from + i)
              .lanewise(VectorOperators.LSHL, 16)
              .add(Lanes.loadSigned(remainder, from + i))
              .reinterpretAsFloats();
      IntVector bits = master.mul(k.decay()).sub(update).reinterpretAsInts();
      IntVector next = bits.and(MAGNITUDE).min(Master.LARGEST_BITS).or(bits.and(SIGN));
      Lanes.storeLow16(next.add(0x8000).lanewise(VectorOperators.LSHR, 16), weights, from + i);
      Lanes.storeLow16(next, remainder, from + i);
    }
  }

  private static void stepMomentumNearest(
      float[] gradient, MemorySegment momentum, long from, int count, float b2, float o2) {
    FloatVector vo2 = FloatVector.broadcast(Lanes.F32, o2);
    for (int i = 0; i < count; i += Lanes.COUNT) {
      FloatVector g = FloatVector.fromArray(Lanes.F32, gradient, i);
      FloatVector m = Lanes.loadBf16(momentum, from + i);
      IntVector bits = g.fma(vo2, m.mul(b2)).reinterpretAsInts();
      IntVector magnitude = bits.and(MAGNITUDE).min(Master.LARGEST_BITS);
      IntVector odd = magnitude.lanewise(VectorOperators.LSHR, 16).and(1);
      IntVector rounded = magnitude.add(odd).add(0x7FFF).or(bits.and(SIGN));
      Lanes.storeLow16(rounded.lanewise(VectorOperators.LSHR, 16), momentum, from + i);
    }
  }

  private static void stepMomentumStochastic(
      float[] gradient,
      int[] random16,
      MemorySegment momentum,
      long from,
      int count,
      float b2,
      float o2) {
    FloatVector vo2 = FloatVector.broadcast(Lanes.F32, o2);
    for (int i = 0; i < count; i += Lanes.COUNT) {
      FloatVector g = FloatVector.fromArray(Lanes.F32, gradient, i);
      FloatVector m = Lanes.loadBf16(momentum, from + i);
      IntVector bits = g.fma(vo2, m.mul(b2)).reinterpretAsInts();
      IntVector magnitude = bits.and(MAGNITUDE).min(STOCHASTIC_LIMIT);
      IntVector random = IntVector.fromArray(Lanes.I32, random16, i);
      IntVector rounded = magnitude.add(random).or(bits.and(SIGN));
      Lanes.storeLow16(rounded.lanewise(VectorOperators.LSHR, 16), momentum, from + i);
    }
  }

  /**
   * One hash serves two elements, {@link #HASHES} apart. What a lane adds to the counter is
   * multiplied beforehand. Two vectors at once make the body longer than C2's FreqInlineSize (325
   * bytes), on purpose: where C2 inlined it into its caller, it boxed, 6 bytes per parameter
   * (tools/benchmarks/BENCHMARKS.md).
   *
   * @param count of hashes, a multiple of {@link #HASHES}
   */
  private static void randomBits(int[] random16, int count, int counter, int keyLow, int keyHigh) {
    for (int i = 0; i < count; i += 2 * Lanes.COUNT) {
      int first = (counter + i) * StochasticBits.GOLDEN_32 + keyLow;
      IntVector a =
          IntVector.fromArray(Lanes.I32, LANE_PRODUCTS, 0)
              .add(first)
              .lanewise(VectorOperators.XOR, keyHigh);
      IntVector b =
          IntVector.fromArray(Lanes.I32, LANE_PRODUCTS, Lanes.COUNT)
              .add(first)
              .lanewise(VectorOperators.XOR, keyHigh);
      a = a.lanewise(VectorOperators.XOR, a.lanewise(VectorOperators.LSHR, 16));
      b = b.lanewise(VectorOperators.XOR, b.lanewise(VectorOperators.LSHR, 16));
      a = a.mul(StochasticBits.FMIX_1);
      b = b.mul(StochasticBits.FMIX_1);
      a = a.lanewise(VectorOperators.XOR, a.lanewise(VectorOperators.LSHR, 13));
      b = b.lanewise(VectorOperators.XOR, b.lanewise(VectorOperators.LSHR, 13));
      a = a.mul(StochasticBits.FMIX_2);
      b = b.mul(StochasticBits.FMIX_2);
      a = a.lanewise(VectorOperators.XOR, a.lanewise(VectorOperators.LSHR, 16));
      b = b.lanewise(VectorOperators.XOR, b.lanewise(VectorOperators.LSHR, 16));
      int toA = 2 * i - i % HASHES;
      a.and(0xFFFF).intoArray(random16, toA);
      a.lanewise(VectorOperators.LSHR, 16).intoArray(random16, toA + HASHES);
      int toB = 2 * (i + Lanes.COUNT) - (i + Lanes.COUNT) % HASHES;
      b.and(0xFFFF).intoArray(random16, toB);
      b.lanewise(VectorOperators.LSHR, 16).intoArray(random16, toB + HASHES);
    }
  }
}
