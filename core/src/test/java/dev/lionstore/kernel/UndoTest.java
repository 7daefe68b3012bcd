package dev.lionstore.kernel;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class UndoTest {
  private static final int ELEMENTS = 4 * Kernel.MAX_SLICE;
  private static final long WORD = 0x0123_4567_0000_0000L;

  /** Whatever a killed worker has left: the unit in hand is put back, then stepped again. */
  @ParameterizedTest
  @CsvSource({
    "lion, vector, 0, 1024",
    "lion, vector, 64, 1024",
    "lion, vector, 1024, 1",
    "lion, vector, 1024, 63",
    "lion, vector, 2112, 65",
    "lion, vector, 128, 500",
    "lion, scalar, 0, 1024",
    "lion, scalar, 64, 1000",
    "lion, scalar, 2112, 65",
    "adamw, vector, 128, 500",
    "adamw, scalar, 64, 1000",
    "sgd, vector, 2112, 65",
    "sgd, scalar, 0, 1024"
  })
  void theLastTwoUnitsAreSavedAsTheyWere(String name, String backend, int from, int count) {
    UpdateRule rule = UpdateRules.required(name);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment file = arena.allocate(Long.SIZE + Undo.bytes(rule), Long.SIZE);
      Undo undo = new Undo(file, 0, Long.SIZE);
      List<MemorySegment> planes = planes(rule, arena);
      List<byte[]> before = bytes(planes);
      TensorStep step = step(rule, arena, planes);
      undo.begin(WORD, from);
      Kernels.select(backend, rule).kernel().newStepper().apply(step, from, count, undo);

      long counted = file.get(ValueLayout.JAVA_LONG, 0) - WORD;
      assertEquals(Math.ceilDiv(count, Undo.UNIT), Math.ceilDiv(counted, Undo.UNIT));
      int units = Math.ceilDiv(count, Undo.UNIT);
      for (int unit = Math.max(0, units - 2); unit < units; unit++) {
        int saved = Math.min(Undo.UNIT, count - unit * Undo.UNIT);
        undo.restore(step, from + (long) unit * Undo.UNIT, saved);
      }
      int restoredFrom = from + Math.max(0, units - 2) * Undo.UNIT;
      for (int p = 0; p < planes.size(); p++) {
        Plane.Type type = rule.allPlanes().get(p).type();
        int begin = (int) type.bytes(restoredFrom);
        int end = (int) type.bytes(from + count);
        assertArrayEquals(
            Arrays.copyOfRange(before.get(p), begin, end),
            Arrays.copyOfRange(bytes(planes).get(p), begin, end));
      }
    }
  }

  private static List<MemorySegment> planes(UpdateRule rule, Arena arena) {
    SplittableRandom random = new SplittableRandom(9);
    return rule.allPlanes().stream()
        .map(plane -> {
          int halves = (int) plane.type().bytes(ELEMENTS) / Short.BYTES;
          MemorySegment memory = arena.allocate(2L * halves, Long.SIZE);
          for (int i = 0; i < halves; i++) {
            memory.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) random.nextInt(0x3C00, 0x4000));
          }
          return memory;
        })
        .toList();
  }

  private static List<byte[]> bytes(List<MemorySegment> planes) {
    return planes.stream().map(plane -> plane.toArray(ValueLayout.JAVA_BYTE)).toList();
  }

  private static TensorStep step(UpdateRule rule, Arena arena, List<MemorySegment> planes) {
    MemorySegment gradient = arena.allocate(2L * ELEMENTS, Long.SIZE);
    gradient.fill((byte) 0x3C);
    return new TensorStep(
        planes,
        new GradientValues(ElementType.BF16, gradient),
        rule.coefficients(rule.defaults(), 1, 1),
        Rounding.NEAREST,
        0);
  }
}
