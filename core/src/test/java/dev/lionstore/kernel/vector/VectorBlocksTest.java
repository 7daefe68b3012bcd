package dev.lionstore.kernel.vector;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import dev.lionstore.Rounding;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.rule.BlockCode;
import dev.lionstore.rule.Plane;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Blocks in vectors are those of the reference, also where one bit decides. */
class VectorBlocksTest {
  private static final int COUNT = Kernel.MAX_SLICE;
  private static final int SLICES = 200;

  private final MemorySegment expected = Arena.ofAuto().allocate(Plane.Type.I8.bytes(COUNT), 64);
  private final MemorySegment found = Arena.ofAuto().allocate(Plane.Type.I8.bytes(COUNT), 64);
  private final MemorySegment random16 = Arena.ofAuto().allocate(COUNT * (long) Short.BYTES, 64);
  private final SplittableRandom random = new SplittableRandom(8);

  @ParameterizedTest
  @EnumSource(
      value = Plane.Type.class,
      names = {"I8", "U8"})
  void everyBitIsTheReferences(Plane.Type type) {
    VectorBlocks blocks = VectorBlocks.of(type);
    MemorySegment values = Lanes.MEMORY.asSlice(blocks.values(), COUNT * (long) Float.BYTES);
    BlockCode code = new BlockCode(type);
    for (int slice = 0; slice < SLICES; slice++) {
      for (Rounding rounding : Rounding.values()) {
        for (int block = 0; block < COUNT; block += BlockCode.VALUES) {
          fill(type, values, block);
          encode(code, values, block, rounding);
        }
        blocks.encode(found.address(), COUNT, rounding, random16.address());
        assertArrayEquals(bytes(expected), bytes(found), () -> type + " " + rounding);
        blocks.decode(found.address(), COUNT);
        for (int block = 0; block < COUNT; block += BlockCode.VALUES) {
          int[] decoded = new int[BlockCode.VALUES];
          code.decode(expected, block, decoded);
          assertArrayEquals(
              decoded,
              values
                  .asSlice(block * 4L, BlockCode.VALUES * 4L)
                  .toArray(ValueLayout.JAVA_INT_UNALIGNED));
        }
      }
    }
  }

  private static byte[] bytes(MemorySegment memory) {
    return memory.toArray(ValueLayout.JAVA_BYTE);
  }

  /** A scale, zeros, and values beside codes or between two, with random bits that decide there. */
  private void fill(Plane.Type type, MemorySegment values, int block) {
    boolean signed = type == Plane.Type.I8;
    float scale = (float) Math.scalb(1 + random.nextDouble(), random.nextInt(-130, 100));
    if (random.nextInt(50) == 0) {
      scale = random.nextBoolean() ? 0 : Float.MAX_VALUE;
    }
    for (int i = 0; i < BlockCode.VALUES; i++) {
      double place = random.nextInt(signed ? 128 : 256) + random.nextInt(3) / 2.0;
      double far = place / (signed ? 127 : 255);
      double share = signed ? far / (2 - far) : far * far;
      float value = i == 0 ? scale : (float) (Math.min(share, 1) * scale);
      for (int ulps = random.nextInt(-2, 3); i > 0 && ulps != 0; ulps -= Integer.signum(ulps)) {
        value = ulps < 0 ? Math.nextDown(value) : Math.min(Math.nextUp(value), scale);
      }
      if (random.nextInt(20) == 0 && i > 0) {
        value = random.nextBoolean() ? 0 : (float) (scale * 1e-9 * random.nextDouble());
      }
      float stored = random.nextBoolean() ? -value : value;
      values.setAtIndex(ValueLayout.JAVA_FLOAT, block + i, stored);
      random16.setAtIndex(
          ValueLayout.JAVA_SHORT, block + i, (short) deciding(signed, value, scale));
    }
  }

  /** Of the random numbers that round a value up, the largest, or the next one, or any. */
  private int deciding(boolean signed, float value, float scale) {
    double share = scale == 0 ? 0 : (double) value / scale;
    double place = signed ? 2 * share / (1 + share) * 127 : Math.sqrt(share) * 255;
    double low = share(signed, Math.floor(place));
    double above = (share - low) / (share(signed, Math.floor(place) + 1) - low);
    int near = (int) (above * 65536) + random.nextInt(-1, 2);
    return random.nextInt(4) == 0 ? random.nextInt(65536) : Math.clamp(near, 0, 65535);
  }

  private static double share(boolean signed, double code) {
    double far = code / (signed ? 127 : 255);
    return signed ? far / (2 - far) : far * far;
  }

  private void encode(BlockCode code, MemorySegment values, int block, Rounding rounding) {
    int[] bits = new int[BlockCode.VALUES];
    int[] randoms = new int[BlockCode.VALUES];
    for (int i = 0; i < BlockCode.VALUES; i++) {
      bits[i] = values.getAtIndex(ValueLayout.JAVA_INT, block + i);
      randoms[i] = random16.getAtIndex(ValueLayout.JAVA_SHORT, block + i) & 0xFFFF;
    }
    code.encode(bits, expected, block, rounding, randoms);
  }
}
