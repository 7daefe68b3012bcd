package dev.lionstore.kernel;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.rule.Lion;
import dev.lionstore.rule.Plane;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class UndoTest {
  private static final int ELEMENTS = 4 * Kernel.MAX_SLICE;
  private static final long WORD = 0x0123_4567_0000_0000L;
  private static final List<Plane> PLANES =
      Stream.concat(Plane.MASTER.stream(), Stream.of(Lion.MOMENTUM)).toList();

  /** Whatever a killed worker has left: the unit in hand is put back, then stepped again. */
  @ParameterizedTest
  @CsvSource({
    "vector, 0, 1024",
    "vector, 64, 1024",
    "vector, 1024, 1",
    "vector, 1024, 63",
    "vector, 2112, 65",
    "vector, 128, 500",
    "scalar, 0, 1024",
    "scalar, 64, 1000",
    "scalar, 2112, 65"
  })
  void theLastTwoUnitsAreSavedAsTheyWere(String backend, int from, int count) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment file = arena.allocate(Long.SIZE + Undo.bytes(PLANES), Long.SIZE);
      Undo undo = new Undo(file, 0, Long.SIZE, PLANES);
      List<MemorySegment> planes = planes(arena);
      List<byte[]> before = bytes(planes);
      TensorStep step = step(arena, planes);
      undo.begin(WORD, from);
      Kernels.select(backend, Lion.RULE).kernel().newStepper().apply(step, from, count, undo);

      long counted = file.get(ValueLayout.JAVA_LONG, 0) - WORD;
      assertEquals(Math.ceilDiv(count, Undo.UNIT), Math.ceilDiv(counted, Undo.UNIT));
      int units = Math.ceilDiv(count, Undo.UNIT);
      for (int unit = Math.max(0, units - 2); unit < units; unit++) {
        int saved = Math.min(Undo.UNIT, count - unit * Undo.UNIT);
        undo.restore(planes, from + (long) unit * Undo.UNIT, saved);
      }
      int restoredFrom = from + Math.max(0, units - 2) * Undo.UNIT;
      for (int p = 0; p < planes.size(); p++) {
        assertArrayEquals(
            Arrays.copyOfRange(before.get(p), 2 * restoredFrom, 2 * (from + count)),
            Arrays.copyOfRange(bytes(planes).get(p), 2 * restoredFrom, 2 * (from + count)));
      }
    }
  }

  private static List<MemorySegment> planes(Arena arena) {
    SplittableRandom random = new SplittableRandom(9);
    return PLANES.stream()
        .map(plane -> {
          MemorySegment memory = arena.allocate(2L * ELEMENTS, Long.SIZE);
          for (int i = 0; i < ELEMENTS; i++) {
            memory.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) random.nextInt(0x3C00, 0x4000));
          }
          return memory;
        })
        .toList();
  }

  private static List<byte[]> bytes(List<MemorySegment> planes) {
    return planes.stream().map(plane -> plane.toArray(ValueLayout.JAVA_BYTE)).toList();
  }

  private static TensorStep step(Arena arena, List<MemorySegment> planes) {
    MemorySegment gradient = arena.allocate(2L * ELEMENTS, Long.SIZE);
    gradient.fill((byte) 0x3C);
    return new TensorStep(
        planes,
        new GradientValues(ElementType.BF16, gradient),
        Lion.RULE.coefficients(new double[] {0.1, 0.9, 0.99, 0.1}, 1, 1),
        Rounding.NEAREST,
        0);
  }
}
