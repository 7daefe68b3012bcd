package dev.lionstore.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import dev.lionstore.ElementType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The fast form of each conversion, beside the scalar reference, bit by bit. */
class GradientConversionTest {
  /** Long enough for the fast form, with an end that fits no vector, not aligned to anything. */
  private static final int COUNT = 3 * 65_536 + 13;

  private static final GradientConversion REFERENCE = new ScalarConversion();
  private final GradientConversion fast = Kernels.conversion();

  @Test
  void theFastFormIsNotTheReference() {
    assertNotEquals(ScalarConversion.class, fast.getClass());
  }

  /** Every 16-bit value, and 32-bit ones of every exponent with many mantissas. */
  private static GradientValues hostile(ElementType type, Arena arena, boolean asBf16) {
    MemorySegment data = arena.allocate(1 + (long) COUNT * type.bytes(), 8).asSlice(1);
    SplittableRandom random = new SplittableRandom(7);
    for (int i = 0; i < COUNT; i++) {
      if (type == ElementType.F32) {
        int bits = (i << 16) | (asBf16 ? 0 : random.nextInt(1 << 16));
        data.set(ValueLayout.JAVA_INT_UNALIGNED, 4L * i, bits);
      } else {
        data.set(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * i, (short) i);
      }
    }
    return new GradientValues(type, data);
  }

  private static MemorySegment floats(Arena arena) {
    SplittableRandom random = new SplittableRandom(8);
    MemorySegment floats = arena.allocate(1 + 4L * COUNT, 8).asSlice(1);
    for (int i = 0; i < COUNT; i++) {
      floats.set(ValueLayout.JAVA_INT_UNALIGNED, 4L * i, random.nextInt());
    }
    return floats;
  }

  private static int bits(MemorySegment floats, int i) {
    float value = floats.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * i);
    return Float.floatToIntBits(value); // one NaN for all
  }

  private static void assertEqualFloats(MemorySegment expected, MemorySegment found) {
    for (int i = 0; i < COUNT; i++) {
      if (bits(expected, i) != bits(found, i)) {
        assertEquals(bits(expected, i), bits(found, i), "element " + i);
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void wideningGivesTheReferencesBits(ElementType type) {
    try (Arena arena = Arena.ofConfined()) {
      GradientValues from = hostile(type, arena, false);
      MemorySegment expected = floats(arena);
      MemorySegment found = floats(arena);
      REFERENCE.widen(from, expected);
      fast.widen(from, found);
      assertEqualFloats(expected, found);
    }
  }

  @ParameterizedTest
  @EnumSource
  void addingGivesTheReferencesBits(ElementType type) {
    try (Arena arena = Arena.ofConfined()) {
      GradientValues from = hostile(type, arena, false);
      MemorySegment expected = floats(arena);
      MemorySegment found = floats(arena);
      REFERENCE.add(from, expected);
      fast.add(from, found);
      assertEqualFloats(expected, found);
    }
  }

  @Test
  void narrowingGivesTheReferencesBits() {
    try (Arena arena = Arena.ofConfined()) {
      GradientValues from = hostile(ElementType.F32, arena, true);
      MemorySegment expected = floats(arena);
      MemorySegment found = floats(arena);
      assertEquals(GradientConversion.ALL_HELD, REFERENCE.narrow(from, expected));
      assertEquals(GradientConversion.ALL_HELD, fast.narrow(from, found));
      for (long i = 0; i < COUNT; i++) {
        assertEquals(
            expected.get(ValueLayout.JAVA_SHORT_UNALIGNED, 2 * i),
            found.get(ValueLayout.JAVA_SHORT_UNALIGNED, 2 * i));
      }
    }
  }

  static Stream<Arguments> places() {
    return Stream.of(0, 1, 31, 16_383, 16_384, 65_535, COUNT - 14, COUNT - 1)
        .flatMap(at -> Stream.of(ElementType.F32, ElementType.F16).map(t -> Arguments.of(t, at)));
  }

  @ParameterizedTest
  @MethodSource("places")
  void theFirstValueThatIsNotHeldIsNamed(ElementType type, int at) {
    try (Arena arena = Arena.ofConfined()) {
      GradientValues from =
          new GradientValues(type, arena.allocate((long) COUNT * type.bytes(), 8));
      for (long i = at; i < COUNT; i += 7) {
        switch (type) {
          case F32 -> from.data().set(ValueLayout.JAVA_FLOAT, 4 * i, 1 + 0x1p-23f);
          case F16 -> from.data().set(ValueLayout.JAVA_SHORT, 2 * i, (short) 0x3C01);
          case BF16 -> throw new AssertionError();
        }
      }
      assertEquals(at, REFERENCE.narrow(from, floats(arena)));
      assertEquals(at, fast.narrow(from, floats(arena)));
    }
  }

  /** A NaN with its only bit in the low half is still one when it is cut. */
  @ParameterizedTest
  @EnumSource(names = "F32")
  void aNanStaysOne(ElementType type) {
    try (Arena arena = Arena.ofConfined()) {
      GradientValues from =
          new GradientValues(type, arena.allocate((long) COUNT * type.bytes(), 8));
      from.data().set(ValueLayout.JAVA_INT, 4L * 40, 0x7F800001);
      from.data().set(ValueLayout.JAVA_INT, 4L * (COUNT - 1), 0xFF800001);
      MemorySegment found = floats(arena);
      assertEquals(GradientConversion.ALL_HELD, fast.narrow(from, found));
      assertEquals((short) 0x7FC0, found.get(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * 40));
      assertEquals((short) 0xFFC0, found.get(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * (COUNT - 1)));
    }
  }
}
