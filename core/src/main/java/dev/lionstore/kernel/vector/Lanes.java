package dev.lionstore.kernel.vector;

import dev.lionstore.kernel.GradientValues;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/** Loads and stores between 16-bit memory and 32-bit lanes, in the widest shape of this machine. */
final class Lanes {
  static final VectorSpecies<Float> F32 = FloatVector.SPECIES_PREFERRED;
  static final VectorSpecies<Integer> I32 = IntVector.SPECIES_PREFERRED;
  static final VectorSpecies<Short> I16 =
      VectorSpecies.of(short.class, VectorShape.forBitSize(F32.vectorBitSize() / 2));
  static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

  /** Lanes of one vector; divides 16 on every machine that has 128 to 512 bits. */
  static final int COUNT = F32.length();

  /** What a half's magnitude, moved to a float's place, is multiplied with to get its value. */
  private static final float HALF_REBIAS = 0x1p112f;

  private Lanes() {}

  static IntVector loadUnsigned(MemorySegment plane, long element) {
    return (IntVector)
        ShortVector.fromMemorySegment(I16, plane, 2 * element, ORDER)
            .convertShape(VectorOperators.ZERO_EXTEND_S2I, I32, 0);
  }

  static IntVector loadSigned(MemorySegment plane, long element) {
    return (IntVector)
        ShortVector.fromMemorySegment(I16, plane, 2 * element, ORDER)
            .convertShape(VectorOperators.S2I, I32, 0);
  }

  static FloatVector loadBf16(MemorySegment plane, long element) {
    return loadUnsigned(plane, element).lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
  }

  static FloatVector loadF32(MemorySegment plane, long element) {
    return FloatVector.fromMemorySegment(F32, plane, 4 * element, ORDER);
  }

  /** Finite halves, subnormals included, by a multiplication that is exact; Inf and NaN stay so. */
  static FloatVector loadF16(MemorySegment plane, long element) {
    IntVector bits = loadUnsigned(plane, element);
    IntVector sign = bits.and(0x8000).lanewise(VectorOperators.LSHL, 16);
    IntVector magnitude = bits.and(0x7FFF).lanewise(VectorOperators.LSHL, 13);
    IntVector value = magnitude.reinterpretAsFloats().mul(HALF_REBIAS).reinterpretAsInts();
    IntVector special = value.or(0x7F800000);
    return value
        .blend(special, magnitude.compare(VectorOperators.GE, 0x7C00 << 13))
        .or(sign)
        .reinterpretAsFloats();
  }

  static void storeLow16(IntVector value, MemorySegment plane, long element) {
    ((ShortVector) value.convertShape(VectorOperators.I2S, I16, 0))
        .intoMemorySegment(plane, 2 * element, ORDER);
  }

  /**
   * Widens gradients to floats.
   *
   * @param padded a multiple of {@link #COUNT}; what is from count to there becomes zero
   */
  static void widen(GradientValues gradient, long from, int count, float[] to, int padded) {
    int whole = count - count % COUNT;
    switch (gradient.type()) {
      case F32 -> widenF32(gradient.data(), from, whole, to);
      case BF16 -> widenBf16(gradient.data(), from, whole, to);
      case F16 -> widenF16(gradient.data(), from, whole, to);
    }
    for (int i = whole; i < padded; i++) {
      to[i] = i < count ? gradient.get(from + i) : 0;
    }
  }

  private static void widenF32(MemorySegment data, long from, int count, float[] to) {
    for (int i = 0; i < count; i += COUNT) {
      loadF32(data, from + i).intoArray(to, i);
    }
  }

  private static void widenBf16(MemorySegment data, long from, int count, float[] to) {
    for (int i = 0; i < count; i += COUNT) {
      loadBf16(data, from + i).intoArray(to, i);
    }
  }

  private static void widenF16(MemorySegment data, long from, int count, float[] to) {
    for (int i = 0; i < count; i += COUNT) {
      loadF16(data, from + i).intoArray(to, i);
    }
  }
}
