package dev.lionstore.rule;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.Rounding;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class BlockCodeTest {
  private final MemorySegment block = MemorySegment.ofArray(new byte[BlockCode.BYTES]);
  private final int[] bits = new int[BlockCode.VALUES];
  private final int[] random16 = new int[BlockCode.VALUES];

  /** A block of one value and a larger one, read back. */
  private float stored(Plane.Type type, float value, float scale, Rounding rounding) {
    bits[0] = Float.floatToRawIntBits(value);
    bits[BlockCode.VALUES - 1] = Float.floatToRawIntBits(scale);
    BlockCode code = new BlockCode(type);
    code.encode(bits, block, 0, rounding, random16);
    return code.value(block, 0);
  }

  @ParameterizedTest
  @EnumSource(
      value = Plane.Type.class,
      names = {"I8", "U8"})
  void everyCodeIsReadAndWrittenBack(Plane.Type type) {
    BlockCode code = new BlockCode(type);
    SplittableRandom random = new SplittableRandom(3);
    for (int trial = 0; trial < 20_000; trial++) {
      int lowest = type == Plane.Type.I8 ? -127 : 0;
      for (int i = 0; i < BlockCode.VALUES; i++) {
        block.set(
            ValueLayout.JAVA_BYTE,
            Float.BYTES + i,
            (byte) random.nextInt(lowest, type == Plane.Type.I8 ? 128 : 256));
      }
      // The scale is the largest value of its block, and not so small that shares lose bits.
      block.set(ValueLayout.JAVA_BYTE, Float.BYTES + 5, (byte) (type == Plane.Type.I8 ? 127 : 255));
      int scale = random.nextInt(Float.floatToRawIntBits(0x1p-100f), 0x7F800000);
      block.set(ValueLayout.JAVA_INT_UNALIGNED, 0, scale);
      byte[] before = block.toArray(ValueLayout.JAVA_BYTE);
      code.decode(block, 0, bits);
      Rounding rounding = trial % 2 == 0 ? Rounding.NEAREST : Rounding.STOCHASTIC;
      for (int i = 0; i < BlockCode.VALUES; i++) {
        random16[i] = 0x8000;
      }
      code.encode(bits, block, 0, rounding, random16);
      assertArrayEquals(before, block.toArray(ValueLayout.JAVA_BYTE));
    }
  }

  @Test
  void theErrorIsWhatTheCompandingAllows() {
    SplittableRandom random = new SplittableRandom(5);
    for (int trial = 0; trial < 100_000; trial++) {
      float scale = (float) Math.scalb(random.nextDouble(0.5, 1), random.nextInt(-60, 60));
      float value = (float) (scale * random.nextDouble());
      // Half a code, where φ(x) = 2x/(1+x) and √x are steepest, and a little for float32.
      float share = value / scale;
      double signed = 0.5 / 127 * (1 + share) * (1 + share) / 2;
      assertEquals(
          value, stored(Plane.Type.I8, value, scale, Rounding.NEAREST), scale * signed * 1.02);
      boolean isRaised = Math.sqrt(share) < 0.5 / 255; // to the smallest code but 0
      double unsigned = isRaised ? 1.0 / (255 * 255) : (Math.sqrt(share) + 0.25 / 255) / 255;
      assertEquals(
          value, stored(Plane.Type.U8, value, scale, Rounding.NEAREST), scale * unsigned * 1.02);
    }
  }

  @Test
  void signsZerosAndExtremesAreKept() {
    assertEquals(-3f, stored(Plane.Type.I8, -3f, 3f, Rounding.NEAREST));
    assertEquals(-Float.MAX_VALUE, stored(Plane.Type.I8, -Float.MAX_VALUE, 1, Rounding.NEAREST));
    assertEquals(
        Float.MIN_VALUE, stored(Plane.Type.U8, Float.MIN_VALUE, Float.MIN_VALUE, Rounding.NEAREST));
    for (Plane.Type type : new Plane.Type[] {Plane.Type.I8, Plane.Type.U8}) {
      for (Rounding rounding : Rounding.values()) {
        random16[0] = 0xFFFF;
        assertEquals(0, Float.floatToRawIntBits(stored(type, -0f, 1, rounding)));
        assertEquals(0, Float.floatToRawIntBits(stored(type, 0f, 0, rounding)));
        random16[0] = 0;
        assertEquals(1, stored(type, 1, 1, rounding));
      }
    }
    assertEquals(0, stored(Plane.Type.U8, -1, 2, Rounding.NEAREST), "cannot be negative");
  }

  /** A rule divides by the root of a second moment: what is small is not nothing. */
  @Test
  void smallSecondMomentsDoNotBecomeZero() {
    for (Rounding rounding : Rounding.values()) {
      assertTrue(stored(Plane.Type.U8, 1e-30f, 1, rounding) > 0);
    }
  }

  @Test
  void stochasticRoundingIsRightOnAverage() {
    for (Plane.Type type : new Plane.Type[] {Plane.Type.I8, Plane.Type.U8}) {
      for (float value : new float[] {0.0101f, 0.37f, 0.998f}) {
        double sum = 0;
        for (int random = 0; random < 1 << 16; random++) {
          random16[0] = random;
          sum += stored(type, value, 1, Rounding.STOCHASTIC);
        }
        assertEquals(value, sum / (1 << 16), 2e-7, type + " " + value);
      }
    }
  }

  @Test
  void onlyBlocksHaveACode() {
    assertThrows(IllegalArgumentException.class, () -> new BlockCode(Plane.Type.BF16));
  }
}
