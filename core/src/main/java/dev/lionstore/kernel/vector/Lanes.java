package dev.lionstore.kernel.vector;

import dev.lionstore.kernel.Kernel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Objects;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * Loads and stores between 16-bit memory and 32-bit lanes, in the widest shape of this machine.
 * Where memory is, is an address.
 *
 * <p>Lanes of one type have one shape in all loops, but for what is widened or narrowed at once: a
 * method of the JDK's that has seen vectors of two shapes is inlined for both, and what may be of
 * either is boxed.
 */
final class Lanes {
  static final VectorSpecies<Float> F32 = FloatVector.SPECIES_PREFERRED;
  static final VectorSpecies<Integer> I32 = IntVector.SPECIES_PREFERRED;
  static final VectorSpecies<Short> I16 =
      VectorSpecies.of(short.class, VectorShape.forBitSize(F32.vectorBitSize() / 2));
  static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

  /** Lanes of one vector; divides 16 on every machine that has 128 to 512 bits. */
  static final int COUNT = F32.length();

  /** Bytes of one vector. */
  static final int BYTES = COUNT * Float.BYTES;

  /** What a half's magnitude, moved to a float's place, is multiplied with to get its value. */
  private static final float HALF_REBIAS = 0x1p112f;

  /** Where odd elements begin in what {@link #split} makes. */
  static final long ODD_OFFSET = 2L * Kernel.MAX_SLICE;

  /**
   * All memory, by its address. Slices are checked once: checked at every access, a loop with
   * fences runs at half the speed, and where segments of several classes are seen, each access is a
   * call.
   */
  @SuppressWarnings("restricted") // see above
  static final MemorySegment MEMORY = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

  private Lanes() {}

  /**
   * The address of consecutive bytes, which are checked to be native, alive, this thread's to use,
   * and there.
   *
   * @throws IllegalArgumentException if they are on the heap
   * @throws IndexOutOfBoundsException if they are not there
   */
  static long address(MemorySegment memory, long offset, long bytes) {
    if (!memory.isNative()) {
      throw new IllegalArgumentException("kernels work on native memory, found " + memory);
    }
    Objects.checkFromIndexSize(offset, bytes, memory.byteSize());
    memory.get(ValueLayout.JAVA_BYTE, offset);
    return memory.address() + offset;
  }

  static IntVector loadUnsigned(long at) {
    return (IntVector)
        ShortVector.fromMemorySegment(I16, MEMORY, at, ORDER)
            .convertShape(VectorOperators.ZERO_EXTEND_S2I, I32, 0);
  }

  static FloatVector loadBf16(long at) {
    return loadUnsigned(at).lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
  }

  static FloatVector loadF32(long at) {
    return FloatVector.fromMemorySegment(F32, MEMORY, at, ORDER);
  }

  /** Finite halves, subnormals included, by a multiplication that is exact; Inf and NaN stay so. */
  static FloatVector loadF16(long at) {
    return halves(loadUnsigned(at));
  }

  private static FloatVector halves(IntVector bits) {
    IntVector sign = bits.and(0x8000).lanewise(VectorOperators.LSHL, 16);
    IntVector magnitude = bits.and(0x7FFF).lanewise(VectorOperators.LSHL, 13);
    IntVector value = magnitude.reinterpretAsFloats().mul(HALF_REBIAS).reinterpretAsInts();
    IntVector special = value.or(0x7F800000);
    return value
        .blend(special, magnitude.compare(VectorOperators.GE, 0x7C00 << 13))
        .or(sign)
        .reinterpretAsFloats();
  }

  /**
   * Widens gradients to floats, the even elements before the odd ones, {@link #ODD_OFFSET} apart.
   *
   * @param to where they go, as an address
   * @param count whole granules, at most {@link Kernel#MAX_SLICE}
   */
  static void split(GradientSlice gradient, long to, int count) {
    switch (gradient.type()) {
      case F32 -> splitF32(gradient.address(), to, count);
      case F16 -> splitF16(gradient.address(), to, count);
      case BF16 -> throw new IllegalArgumentException("they are pairs already");
    }
  }

  private static void splitF32(long from, long to, int count) {
    IntVector evenLanes = IntVector.broadcast(I32, 0).addIndex(2);
    IntVector oddLanes = evenLanes.add(1);
    for (int i = 0; i < count; i += 2 * COUNT) {
      IntVector low = IntVector.fromMemorySegment(I32, MEMORY, from + 4L * i, ORDER);
      IntVector high = IntVector.fromMemorySegment(I32, MEMORY, from + 4L * (i + COUNT), ORDER);
      evenLanes.selectFrom(low, high).intoMemorySegment(MEMORY, to + 2L * i, ORDER);
      oddLanes.selectFrom(low, high).intoMemorySegment(MEMORY, to + ODD_OFFSET + 2L * i, ORDER);
    }
  }

  private static void splitF16(long from, long to, int count) {
    for (int i = 0; i < count; i += 2 * COUNT) {
      IntVector pairs = IntVector.fromMemorySegment(I32, MEMORY, from + 2L * i, ORDER);
      halves(pairs.and(0xFFFF)).intoMemorySegment(MEMORY, to + 2L * i, ORDER);
      halves(pairs.lanewise(VectorOperators.LSHR, 16))
          .intoMemorySegment(MEMORY, to + ODD_OFFSET + 2L * i, ORDER);
    }
  }

  /**
   * Widens gradients to floats.
   *
   * @param count a multiple of {@link #COUNT}, as for the methods below
   */
  static void widen(GradientSlice gradient, float[] to, int count) {
    switch (gradient.type()) {
      case F32 -> widenF32(gradient.address(), to, count);
      case BF16 -> widenBf16(gradient.address(), to, count);
      case F16 -> widenF16(gradient.address(), to, count);
    }
  }

  static void widenF32(long from, float[] to, int count) {
    for (int i = 0; i < count; i += COUNT) {
      loadF32(from + 4L * i).intoArray(to, i);
    }
  }

  static void widenBf16(long from, float[] to, int count) {
    for (int i = 0; i < count; i += COUNT) {
      loadBf16(from + 2L * i).intoArray(to, i);
    }
  }

  private static void widenF16(long from, float[] to, int count) {
    for (int i = 0; i < count; i += COUNT) {
      loadF16(from + 2L * i).intoArray(to, i);
    }
  }

  // Its name must not end in Master: those loops are compiled by themselves (jvm.options), and a
  // vector that such a method returned would be boxed.
  private static IntVector loadJoined(long weights, long remainder) {
    IntVector low =
        (IntVector)
            ShortVector.fromMemorySegment(I16, MEMORY, remainder, ORDER)
                .convertShape(VectorOperators.S2I, I32, 0);
    return loadUnsigned(weights).lanewise(VectorOperators.LSHL, 16).add(low);
  }

  /** The masters of weights and remainders, as floats in memory. */
  static void copyMaster(long weights, long remainder, long to, int count) {
    for (int i = 0; i < count; i += COUNT) {
      loadJoined(weights + 2L * i, remainder + 2L * i)
          .intoMemorySegment(MEMORY, to + 4L * i, ORDER);
    }
  }

  /** Whether the masters of weights and remainders have the bits of floats in memory. */
  static boolean equalsMaster(long weights, long remainder, long floats, int count) {
    IntVector different = IntVector.zero(I32);
    for (int i = 0; i < count; i += COUNT) {
      IntVector given = IntVector.fromMemorySegment(I32, MEMORY, floats + 4L * i, ORDER);
      IntVector master = loadJoined(weights + 2L * i, remainder + 2L * i);
      different = different.or(master.lanewise(VectorOperators.XOR, given));
    }
    return different.reduceLanes(VectorOperators.OR) == 0;
  }

  /**
   * Whether weights have the bits of bfloat16 values, two to a lane as far as they fill vectors.
   */
  static boolean equalsWeightsOfMaster(long weights, long values, int count) {
    IntVector different = IntVector.zero(I32);
    int pairs = count / 2;
    int whole = pairs - pairs % COUNT;
    for (int i = 0; i < whole; i += COUNT) {
      IntVector given = IntVector.fromMemorySegment(I32, MEMORY, values + 4L * i, ORDER);
      IntVector own = IntVector.fromMemorySegment(I32, MEMORY, weights + 4L * i, ORDER);
      different = different.or(own.lanewise(VectorOperators.XOR, given));
    }
    for (int i = 2 * whole; i < count; i += COUNT) {
      different =
          different.or(
              loadUnsigned(weights + 2L * i)
                  .lanewise(VectorOperators.XOR, loadUnsigned(values + 2L * i)));
    }
    return different.reduceLanes(VectorOperators.OR) == 0;
  }
}
