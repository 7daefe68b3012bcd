package dev.lionstore.kernel.vector;

import static jdk.incubator.vector.VectorOperators.ABS;
import static jdk.incubator.vector.VectorOperators.ASHR;
import static jdk.incubator.vector.VectorOperators.F2I;
import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;
import static jdk.incubator.vector.VectorOperators.LT;
import static jdk.incubator.vector.VectorOperators.MAX;
import static jdk.incubator.vector.VectorOperators.NEG;
import static jdk.incubator.vector.VectorOperators.SQRT;

import dev.lionstore.rule.BlockCode;
import dev.lionstore.rule.Plane;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;

/** {@link BlockCode} for whole vectors; where blocks and values are, are addresses. */
final class VectorBlockCode {
  private static final ValueLayout.OfInt I32 =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** A float this large has no fraction: adding and subtracting it rounds to nearest even. */
  private static final float WHOLE = 0x1p23f;

  private static final float RANDOM_VALUES = 0x1p16f;

  /** Rounding to nearest. */
  static final long NO_RANDOM = 0;

  private final boolean signed;
  private final float codes;

  VectorBlockCode(Plane.Type type) {
    this.signed = type == Plane.Type.I8;
    this.codes = signed ? BlockCode.SIGNED_CODES : BlockCode.UNSIGNED_CODES;
  }

  /** Decodes whole blocks to float32. */
  void decode(long blocks, long values, int count) {
    for (int done = 0; done < count; done += BlockCode.VALUES) {
      decodeBlock(blocks, values);
      blocks += BlockCode.BYTES;
      values += BlockCode.VALUES * Float.BYTES;
    }
  }

  private void decodeBlock(long block, long values) {
    float scale = Lanes.MEMORY.get(ValueLayout.JAVA_FLOAT_UNALIGNED, block);
    for (int word = 0; word < BlockCode.WORDS; word += Lanes.COUNT) {
      IntVector four =
          IntVector.fromMemorySegment(
              Lanes.I32,
              Lanes.MEMORY,
              block + Float.BYTES + word * (long) Integer.BYTES,
              Lanes.ORDER);
      for (int part = 0; part < Integer.BYTES; part++) {
        IntVector high = four.lanewise(LSHL, 24 - Byte.SIZE * part);
        FloatVector value = signed ? signed(high, scale) : unsigned(high, scale);
        value.intoMemorySegment(Lanes.MEMORY, values + at(word, part), Lanes.ORDER);
      }
    }
  }

  private static long at(int word, int part) {
    return (part * BlockCode.WORDS + word) * (long) Float.BYTES;
  }

  private static FloatVector signed(IntVector high, float scale) {
    IntVector code = high.lanewise(ASHR, 24);
    FloatVector share = signedShare((FloatVector) code.lanewise(ABS).convert(I2F, 0));
    FloatVector value = share.mul(scale);
    return value.reinterpretAsInts().or(high.and(0x80000000)).reinterpretAsFloats();
  }

  private static FloatVector unsigned(IntVector high, float scale) {
    return unsignedShare((FloatVector) high.lanewise(LSHR, 24).convert(I2F, 0)).mul(scale);
  }

  private static FloatVector signedShare(FloatVector code) {
    FloatVector companded = code.div(BlockCode.SIGNED_CODES);
    return companded.div(FloatVector.broadcast(Lanes.F32, 2).sub(companded));
  }

  private static FloatVector unsignedShare(FloatVector code) {
    FloatVector companded = code.div(BlockCode.UNSIGNED_CODES);
    return companded.mul(companded);
  }

  /**
   * Encodes whole blocks of float32.
   *
   * @param random16 of 16 bits for each value, for stochastic rounding; else {@link #NO_RANDOM}
   */
  void encode(long values, long blocks, int count, long random16) {
    for (int done = 0; done < count; done += BlockCode.VALUES) {
      long random = random16 == NO_RANDOM ? NO_RANDOM : random16 + done * (long) Short.BYTES;
      encodeBlock(values, blocks, random);
      blocks += BlockCode.BYTES;
      values += BlockCode.VALUES * Float.BYTES;
    }
  }

  private void encodeBlock(long values, long block, long random16) {
    IntVector largest = IntVector.zero(Lanes.I32);
    for (int i = 0; i < BlockCode.VALUES; i += Lanes.COUNT) {
      largest = largest.max(magnitude(bits(values + i * (long) Float.BYTES)));
    }
    int scaleBits = largest.reduceLanes(MAX);
    Lanes.MEMORY.set(I32, block, scaleBits);
    float scale = Float.intBitsToFloat(scaleBits);
    for (int word = 0; word < BlockCode.WORDS; word += Lanes.COUNT) {
      IntVector four = IntVector.zero(Lanes.I32);
      for (int part = 0; part < Integer.BYTES; part++) {
        long at = at(word, part);
        IntVector bits = bits(values + at);
        IntVector code =
            random16 == NO_RANDOM
                ? nearest(bits, scale)
                : stochastic(bits, scale, Lanes.loadUnsigned(random16 + at / 2));
        four = four.or(code.and(0xFF).lanewise(LSHL, Byte.SIZE * part));
      }
      four.intoMemorySegment(
          Lanes.MEMORY, block + Float.BYTES + word * (long) Integer.BYTES, Lanes.ORDER);
    }
  }

  private static IntVector bits(long at) {
    return IntVector.fromMemorySegment(Lanes.I32, Lanes.MEMORY, at, Lanes.ORDER);
  }

  private IntVector magnitude(IntVector bits) {
    IntVector magnitude = bits.and(0x7FFFFFFF).min(0x7F7FFFFF);
    return signed ? magnitude : magnitude.blend(0, bits.compare(LT, 0));
  }

  private IntVector nearest(IntVector bits, float scale) {
    IntVector magnitude = magnitude(bits);
    FloatVector place = place(magnitude.reinterpretAsFloats().div(scale));
    return code(bits, magnitude, (IntVector) place.add(WHOLE).sub(WHOLE).convert(F2I, 0));
  }

  private IntVector stochastic(IntVector bits, float scale, IntVector random16) {
    IntVector magnitude = magnitude(bits);
    FloatVector share = magnitude.reinterpretAsFloats().div(scale);
    IntVector low = (IntVector) place(share).convert(F2I, 0);
    FloatVector whole = (FloatVector) low.convert(I2F, 0);
    FloatVector from = share(whole);
    FloatVector step = share(whole.add(1)).sub(from);
    FloatVector above = share.sub(from).div(step).mul(RANDOM_VALUES);
    VectorMask<Integer> up =
        ((FloatVector) random16.convert(I2F, 0)).compare(LT, above).cast(Lanes.I32);
    return code(bits, magnitude, low.add(1, up));
  }

  private FloatVector share(FloatVector code) {
    return signed ? signedShare(code) : unsignedShare(code);
  }

  private FloatVector place(FloatVector share) {
    FloatVector companded = signed ? share.mul(2).div(share.add(1)) : share.lanewise(SQRT);
    return companded.mul(codes);
  }

  /** Zero for zero, also where a block has nothing else and shares are none. */
  private IntVector code(IntVector bits, IntVector magnitude, IntVector code) {
    VectorMask<Integer> some = magnitude.compare(GT, 0);
    if (signed) {
      IntVector most = code.min((int) codes);
      return IntVector.zero(Lanes.I32).blend(most.lanewise(NEG, bits.compare(LT, 0)), some);
    }
    return IntVector.zero(Lanes.I32).blend(code.max(1).min((int) codes), some);
  }
}
