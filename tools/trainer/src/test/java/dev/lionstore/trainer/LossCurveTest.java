package dev.lionstore.trainer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.OptionalDouble;
import java.util.stream.LongStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class LossCurveTest {
  @TempDir private Path folder;
  private Path file = Path.of("");

  @BeforeEach
  void nameTheFile() {
    file = folder.resolve("loss.csv");
  }

  private static LossCurve.Row row(long step) {
    OptionalDouble heldOut = step % 2 == 0 ? OptionalDouble.of(8.5) : OptionalDouble.empty();
    OptionalDouble training = OptionalDouble.of(8.0 - step / 3.0);
    return new LossCurve.Row(step, training, heldOut, 20_000, 51.2, heldOut);
  }

  private static List<LossCurve.Row> rows(long count) {
    return LongStream.range(0, count).mapToObj(LossCurveTest::row).toList();
  }

  private void run(long from, long to) throws IOException {
    try (LossCurve curve = LossCurve.resume(file, from)) {
      for (long step = from; step < to; step++) {
        curve.append(row(step));
      }
      assertEquals(rows(to), curve.rows());
    }
  }

  @Test
  void whatIsAppendedIsReadBackExactly() throws IOException {
    run(0, 5);
    assertEquals(rows(5), LossCurve.read(file));
  }

  @Test
  void theRowAfterTheLastStepHasNoTrainingLossAndGoesWhenTrainingGoesOn() throws IOException {
    run(0, 5);
    try (LossCurve curve = LossCurve.resume(file, 5)) {
      curve.append(
          new LossCurve.Row(
              5, OptionalDouble.empty(), OptionalDouble.of(3.5), 0, 0, OptionalDouble.empty()));
    }
    assertEquals(OptionalDouble.empty(), LossCurve.read(file).get(5).training());
    run(5, 7);
    assertEquals(rows(7), LossCurve.read(file));
  }

  @Test
  void resumingAnywhereLeavesEachStepOnce() throws IOException {
    run(0, 5);
    run(5, 7);
    run(3, 9);
    assertEquals(rows(9), LossCurve.read(file));
  }

  @Test
  void aRowThatAKillHasCutIsDroppedWhateverItsLength() throws IOException {
    run(0, 3);
    String whole = Files.readString(file);
    String next = "3,7.0,,20000.0,51.2";
    for (int length = 0; length <= next.length(); length++) {
      Files.writeString(file, whole);
      Files.writeString(file, next.substring(0, length), StandardOpenOption.APPEND);
      run(3, 4);
      assertEquals(rows(4), LossCurve.read(file));
    }
  }

  @Test
  void refusesARowThatIsNotTheNext() throws IOException {
    try (LossCurve curve = LossCurve.resume(file, 4)) {
      assertThrows(IllegalArgumentException.class, () -> curve.append(row(3)));
      assertThrows(IllegalArgumentException.class, () -> curve.append(row(5)));
      curve.append(row(4));
      assertThrows(IllegalArgumentException.class, () -> curve.append(row(4)));
    }
  }

  @Test
  void refusesAFileThatIsNoLossCurveAndLeavesIt() throws IOException {
    Files.writeString(file, "shopping list\n");
    IOException refused = assertThrows(IOException.class, () -> LossCurve.resume(file, 0));
    assertTrue(
        String.valueOf(refused.getMessage()).contains("shopping list"), refused.getMessage());
    assertEquals("shopping list\n", Files.readString(file));
  }

  @Test
  void refusesADamagedLineAndNamesIt() throws IOException {
    run(0, 3);
    Files.writeString(file, Files.readString(file).replace("\n1,", "\nx,"));
    IOException refused = assertThrows(IOException.class, () -> LossCurve.read(file));
    assertEquals(
        file + ": line 3 is no row; move the file away, the run goes on without its older losses",
        refused.getMessage());
  }

  @Test
  void refusesStepsOutOfOrder() throws IOException {
    run(0, 3);
    Files.writeString(file, Files.readString(file).replace("\n2,", "\n1,"));
    assertThrows(IOException.class, () -> LossCurve.read(file));
  }
}
