package dev.lionstore.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import dev.lionstore.ElementType;
import dev.lionstore.rule.Master;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The fast form of reading masters, beside the scalar reference, bit by bit. */
class MasterConversionTest {
  /** From here on the fast form is used. */
  private static final int FAST = 1 << 16;

  private static final MasterConversion REFERENCE = new ScalarMasterConversion();
  private final MasterConversion fast = Kernels.masters();
  private final Arena arena = Arena.ofAuto();

  /** Planes of any bits at all, NaN among the masters, aligned to nothing. */
  private MemorySegment weights(int count) {
    return random(count, 1);
  }

  private MemorySegment remainder(int count) {
    return random(count, 2);
  }

  private MemorySegment random(int count, long seed) {
    MemorySegment plane = arena.allocate(1 + 2L * count, 8).asSlice(1);
    SplittableRandom random = new SplittableRandom(seed);
    for (long i = 0; i < count; i++) {
      // Every 16-bit value comes up, in another order.
      plane.set(ValueLayout.JAVA_SHORT_UNALIGNED, 2 * i, (short) (i * 40_503 + random.nextInt(7)));
    }
    return plane;
  }

  /** What parameters of a type are given of the masters. */
  private GradientValues given(ElementType type, int count) {
    MemorySegment weights = weights(count);
    MemorySegment remainder = remainder(count);
    MemorySegment values = arena.allocate(1 + (long) count * type.bytes(), 8).asSlice(1);
    for (long i = 0; i < count; i++) {
      short high = weights.get(ValueLayout.JAVA_SHORT_UNALIGNED, 2 * i);
      int master = Master.bits(high, remainder.get(ValueLayout.JAVA_SHORT_UNALIGNED, 2 * i));
      switch (type) {
        case F32 -> values.set(ValueLayout.JAVA_INT_UNALIGNED, 4 * i, master);
        case BF16 -> values.set(ValueLayout.JAVA_SHORT_UNALIGNED, 2 * i, high);
        case F16 ->
            values.set(
                ValueLayout.JAVA_SHORT_UNALIGNED,
                2 * i,
                Float.floatToFloat16(Float.intBitsToFloat(master)));
      }
    }
    return new GradientValues(type, values);
  }

  private static void flip(GradientValues values, long index, int bit) {
    long at = index * values.type().bytes() + bit / 8;
    byte flipped = (byte) (values.data().get(ValueLayout.JAVA_BYTE, at) ^ (1 << bit % 8));
    values.data().set(ValueLayout.JAVA_BYTE, at, flipped);
  }

  @Test
  void theFastFormIsNotTheReference() {
    assertNotEquals(ScalarMasterConversion.class, fast.getClass());
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 15, 64, 4097, FAST - 1, FAST, FAST + 1, FAST + 15, 3 * FAST + 13})
  void joiningGivesTheReferencesBits(int count) {
    MemorySegment expected = arena.allocate(1 + 4L * count, 8).asSlice(1);
    MemorySegment found = arena.allocate(1 + 4L * count, 8).asSlice(1);
    REFERENCE.join(weights(count), remainder(count), expected);
    fast.join(weights(count), remainder(count), found);
    assertEquals(-1, expected.mismatch(found));
  }

  static Stream<Arguments> typesAndCounts() {
    return Stream.of(ElementType.values())
        .flatMap(type ->
            IntStream.of(0, 1, 31, 4095, FAST - 1, FAST, FAST + 7, 2 * FAST + 4096 + 13)
                .mapToObj(count -> Arguments.of(type, count)));
  }

  @ParameterizedTest
  @MethodSource("typesAndCounts")
  void whatWasGivenIsEqualHoweverOddItsBits(ElementType type, int count) {
    GradientValues values = given(type, count);
    for (MasterConversion form : new MasterConversion[] {REFERENCE, fast}) {
      assertEquals(MasterConversion.EQUAL, form.mismatch(weights(count), remainder(count), values));
    }
  }

  @ParameterizedTest
  @MethodSource("typesAndCounts")
  void theFirstValueWithAnyOtherBitIsFound(ElementType type, int count) {
    MemorySegment weights = weights(count);
    MemorySegment remainder = remainder(count);
    GradientValues values = given(type, count);
    SplittableRandom random = new SplittableRandom(count);
    int[] places = {count - 1, count - 17, count / 2, 4096, 4095, 16, 15, 1, 0};
    for (int place : places) { // each one before those that differ already
      if (place >= 0 && place < count) {
        flip(values, place, random.nextInt(8 * type.bytes()));
        long expected = REFERENCE.mismatch(weights, remainder, values);
        assertEquals(expected, fast.mismatch(weights, remainder, values), "from " + place);
        assertEquals(true, expected <= place, "found " + expected + " after " + place);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, FAST + 5})
  void minusZeroIsNotZero(int count) {
    MemorySegment zeros = arena.allocate(2L * count);
    for (ElementType type : ElementType.values()) {
      GradientValues values = new GradientValues(type, arena.allocate((long) count * type.bytes()));
      assertEquals(MasterConversion.EQUAL, fast.mismatch(zeros, zeros, values));
      flip(values, count - 1, 8 * type.bytes() - 1);
      assertEquals(count - 1, fast.mismatch(zeros, zeros, values));
      assertEquals(count - 1, REFERENCE.mismatch(zeros, zeros, values));
    }
  }
}
