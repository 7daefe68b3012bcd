package dev.lionstore.rule;

import dev.lionstore.Rounding;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * States of 8 bits: blocks of values with a scale, as FlashOptim (arXiv 2602.23349) has them. The
 * largest magnitude of a block is its scale; a code is what a value's share of it is after a
 * companding that spends more codes on small shares. core/ARITHMETIC.md, "States of 8 bits", has
 * the operations.
 *
 * <pre>
 *  block, little-endian:  scale, binary32 | {@link #WORDS} words, word w with the codes of the
 *                         values w, w + 16, w + 32 and w + 48: vectors decode all four in place
 * </pre>
 *
 * Zero is code 0 and stays zero; the value of the scale itself is exact. Not thread-safe.
 */
public final class BlockCode {
  /** Values of a block; a tensor's last one is filled with zeros. */
  public static final int VALUES = 64;

  /** Words of four codes in a block. */
  public static final int WORDS = VALUES / Integer.BYTES;

  /** Bytes of a block. */
  public static final int BYTES = Float.BYTES + VALUES;

  private static final ValueLayout.OfInt I32 =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** Codes of values of either sign, beside 0, for each sign. */
  public static final float SIGNED_CODES = 127;

  /** Codes of values that are not negative, beside 0. */
  public static final float UNSIGNED_CODES = 255;

  /** Of 16 random bits. */
  public static final float RANDOM_VALUES = 0x1p16f;

  private final boolean signed;

  /** The code of a plane's type, I8 or U8. */
  public BlockCode(Plane.Type type) {
    if (!type.isBlocks()) {
      throw new IllegalArgumentException("type is " + type + ", expected I8 or U8");
    }
    this.signed = type == Plane.Type.I8;
  }

  /**
   * Decodes a block.
   *
   * @param blocks a plane's
   * @param from the index of the block's first value there
   * @param bits room for {@link #VALUES}: the values as float32
   */
  public void decode(MemorySegment blocks, long from, int[] bits) {
    for (int i = 0; i < VALUES; i++) {
      bits[i] = Float.floatToRawIntBits(value(blocks, from + i));
    }
  }

  /**
   * Encodes a block.
   *
   * @param bits the values as float32
   * @param blocks a plane's
   * @param from the index of the block's first value there
   * @param random16 for each value, uniform in 0…65535, for stochastic rounding
   */
  public void encode(
      int[] bits, MemorySegment blocks, long from, Rounding rounding, int[] random16) {
    int largest = 0;
    for (int i = 0; i < VALUES; i++) {
      largest = Math.max(largest, magnitude(bits[i]));
    }
    float scale = Float.intBitsToFloat(largest);
    long at = from / VALUES * BYTES;
    blocks.set(I32, at, largest);
    for (int i = 0; i < VALUES; i++) {
      int code = rounding == Rounding.NEAREST ? nearest(bits[i], scale) : 0;
      if (rounding == Rounding.STOCHASTIC) {
        code = stochastic(bits[i], scale, random16[i]);
      }
      blocks.set(ValueLayout.JAVA_BYTE, at + place(i), (byte) code);
    }
  }

  /** Where in a block a value's code is, in bytes. */
  private static int place(int value) {
    return Float.BYTES + value % WORDS * Integer.BYTES + value / WORDS;
  }

  /**
   * A value.
   *
   * @param blocks a plane's
   * @param index of the value
   */
  public float value(MemorySegment blocks, long index) {
    long at = index / VALUES * BYTES;
    byte code = blocks.get(ValueLayout.JAVA_BYTE, at + place((int) (index % VALUES)));
    return decoded(code, Float.intBitsToFloat(blocks.get(I32, at)));
  }

  /** What counts of a value: negative ones that cannot be are 0, too large ones the largest. */
  private int magnitude(int bits) {
    return !signed && bits < 0 ? 0 : Math.min(bits & 0x7FFFFFFF, 0x7F7FFFFF);
  }

  private float decoded(int code, float scale) {
    return signed ? Math.copySign(share(Math.abs(code)), code) * scale : share(code & 0xFF) * scale;
  }

  /** The share of its scale that a code stands for, without sign. */
  private float share(int code) {
    if (signed) {
      float companded = code / SIGNED_CODES;
      return companded / (2 - companded);
    }
    float companded = code / UNSIGNED_CODES;
    return companded * companded;
  }

  /** Where a share lies among the codes. */
  private float companded(float share) {
    return signed
        ? 2 * share / (1 + share) * SIGNED_CODES
        : (float) Math.sqrt(share) * UNSIGNED_CODES;
  }

  private int nearest(int bits, float scale) {
    int magnitude = magnitude(bits);
    if (magnitude == 0) {
      return 0;
    }
    return withSign(bits, (int) Math.rint(companded(Float.intBitsToFloat(magnitude) / scale)));
  }

  private int stochastic(int bits, float scale, int random16) {
    int magnitude = magnitude(bits);
    if (magnitude == 0) {
      return 0;
    }
    float share = Float.intBitsToFloat(magnitude) / scale;
    int low = (int) companded(share);
    float from = share(low);
    float above = (share - from) / (share(low + 1) - from) * RANDOM_VALUES;
    return withSign(bits, random16 < above ? low + 1 : low);
  }

  /** A value that is not zero and cannot be negative does not become zero: rules divide by it. */
  private int withSign(int bits, int code) {
    if (signed) {
      int most = Math.min(code, (int) SIGNED_CODES);
      return bits < 0 ? -most : most;
    }
    return Math.clamp(code, 1, (int) UNSIGNED_CODES);
  }
}
