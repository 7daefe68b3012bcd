package dev.lionstore.kernel.vector;

import static jdk.incubator.vector.VectorOperators.F2I;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LT;
import static jdk.incubator.vector.VectorOperators.MAX;
import static jdk.incubator.vector.VectorOperators.NEG;

import dev.lionstore.Rounding;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.rule.BlockCode;
import dev.lionstore.rule.Plane;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/**
 * {@link BlockCode} in vectors, and a slice's values of a state that is stored so. It takes several
 * passes over the slice, which stays in the first-level cache, and that stay methods of their own
 * (jvm.options): longer ones have more nodes than C2 inlines methods into, and vectors are boxed.
 * Where something is, is an address.
 */
abstract sealed class VectorBlocks permits SignedBlocks, UnsignedBlocks {
  static final int VALUE_BYTES = BlockCode.VALUES * Float.BYTES;

  /** A float this large has no fraction: adding and subtracting it rounds to nearest even. */
  static final float WHOLE = 0x1p23f;

  private static final ValueLayout.OfInt I32 =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** The bits of a value that its magnitude has; unless all, the sign is coded, too. */
  private final int magnitudeBits;

  /** The smallest code of what is not 0. */
  private final int least;

  private final int most;
  private final MemorySegment values = scratch();
  private final MemorySegment places = scratch();

  VectorBlocks(int magnitudeBits, int least, float most) {
    this.magnitudeBits = magnitudeBits;
    this.least = least;
    this.most = (int) most;
  }

  private static MemorySegment scratch() {
    return Random16.scratch(Kernel.MAX_SLICE * Float.BYTES);
  }

  /** Of a type that is stored in blocks. */
  static VectorBlocks of(Plane.Type type) {
    return switch (type) {
      case I8 -> new SignedBlocks();
      case U8 -> new UnsignedBlocks();
      case F32, BF16, I16 -> throw new IllegalArgumentException("no blocks of " + type);
    };
  }

  /** Where the slice's values are, as float32. */
  final long values() {
    return values.address();
  }

  /** Decodes the blocks of so many values to the slice's. */
  final void decode(long blocks, int count) {
    int whole = Math.ceilDiv(count, BlockCode.VALUES);
    unpackBlocks(blocks, values(), whole);
    expandBlocks(blocks, values(), whole);
  }

  /**
   * Encodes so many of the slice's values to their blocks.
   *
   * @param random16 of 16 bits for each value, as an address; read for stochastic rounding alone
   */
  final void encode(long blocks, int count, Rounding rounding, long random16) {
    int whole = Math.ceilDiv(count, BlockCode.VALUES);
    scaleBlocks(values(), blocks, whole, magnitudeBits);
    placeBlocks(blocks, values(), places.address(), whole);
    if (rounding == Rounding.STOCHASTIC) {
      roundBlocks(blocks, values(), places.address(), whole, random16);
    }
    packBlocks(values(), places.address(), blocks, whole);
  }

  /** Makes values of what was unpacked, where it stands. */
  abstract void expandBlocks(long block, long values, int blocks);

  /** Finds where values are among the codes. */
  abstract void placeBlocks(long block, long values, long places, int blocks);

  /** Replaces places by one of the codes beside them. */
  abstract void roundBlocks(long block, long values, long places, int blocks, long random16);

  /** The codes of blocks, each in the upper bits of four bytes. */
  private static void unpackBlocks(long block, long to, int blocks) {
    for (int b = 0; b < blocks; b++) {
      for (int word = 0; word < BlockCode.WORDS; word += Lanes.COUNT) {
        IntVector four = load(block + Float.BYTES + word * (long) Integer.BYTES);
        for (int part = 0; part < Integer.BYTES; part++) {
          store(four.lanewise(LSHL, 24 - Byte.SIZE * part), to + at(word, part));
        }
      }
      block += BlockCode.BYTES;
      to += VALUE_BYTES;
    }
  }

  /** The nearest codes to places, which are none where a block has only zeros: those stay zeros. */
  private void packBlocks(long values, long places, long block, int blocks) {
    for (int b = 0; b < blocks; b++) {
      for (int word = 0; word < BlockCode.WORDS; word += Lanes.COUNT) {
        IntVector four = IntVector.zero(Lanes.I32);
        for (int part = 0; part < Integer.BYTES; part++) {
          IntVector bits = load(values + at(word, part));
          FloatVector place = load(places + at(word, part)).reinterpretAsFloats();
          IntVector nearest = (IntVector) place.add(WHOLE).sub(WHOLE).convert(F2I, 0);
          IntVector code = nearest.max(bits.max(0).min(least)).min(most);
          IntVector signed = code.lanewise(NEG, bits.and(~magnitudeBits).compare(LT, 0));
          four = four.or(signed.and(0xFF).lanewise(LSHL, Byte.SIZE * part));
        }
        store(four, block + Float.BYTES + word * (long) Integer.BYTES);
      }
      block += BlockCode.BYTES;
      values += VALUE_BYTES;
      places += VALUE_BYTES;
    }
  }

  /** Where in a block's values those are that a part of its words has. */
  private static long at(int word, int part) {
    return (part * BlockCode.WORDS + word) * (long) Float.BYTES;
  }

  private static void scaleBlocks(long values, long block, int blocks, int magnitudeBits) {
    for (int b = 0; b < blocks; b++) {
      IntVector largest = IntVector.zero(Lanes.I32);
      for (int at = 0; at < VALUE_BYTES; at += Lanes.BYTES) {
        largest = largest.max(magnitude(load(values + at), magnitudeBits));
      }
      Lanes.MEMORY.set(I32, block, largest.reduceLanes(MAX));
      block += BlockCode.BYTES;
      values += VALUE_BYTES;
    }
  }

  static float scale(long block) {
    return Lanes.MEMORY.get(ValueLayout.JAVA_FLOAT_UNALIGNED, block);
  }

  static IntVector magnitude(IntVector bits, int magnitudeBits) {
    return bits.and(magnitudeBits).max(0).min(0x7F7FFFFF);
  }

  /** 16 random bits, as a number: added to a float whose last bit counts ones. */
  static FloatVector random(long at) {
    IntVector bits = Lanes.loadUnsigned(at).or(Float.floatToRawIntBits(WHOLE));
    return bits.reinterpretAsFloats().sub(WHOLE);
  }

  static IntVector load(long at) {
    return IntVector.fromMemorySegment(Lanes.I32, Lanes.MEMORY, at, Lanes.ORDER);
  }

  static void store(IntVector values, long at) {
    values.intoMemorySegment(Lanes.MEMORY, at, Lanes.ORDER);
  }
}
