package dev.lionstore.crash.kill;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.crash.harness.BrokenPromise;
import dev.lionstore.crash.harness.ScratchFolder;
import dev.lionstore.crash.probe.Fault;
import dev.lionstore.crash.probe.ProbedStores;
import java.io.IOException;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class EveryPointTest {
  private static final int STRIDE = 61;

  private static final ProbedStores.Unit SLICE = ProbedStores.Unit.SLICE;
  private static final ProbedStores.Unit CHUNK = ProbedStores.Unit.CHUNK;
  private static final ProbedStores.Unit DIRECT = ProbedStores.Unit.DIRECT;

  private static final Set<String> DEVICE_POINTS =
      Set.of(
          "chunk: before it is restored",
          "chunk: before it is saved",
          "chunk: restored",
          "device: piece written back",
          "device: unmapped",
          "undo: marked");

  private static final Set<String> DIRECT_POINTS =
      Set.of(
          "chunk: before it is restored",
          "chunk: before it is saved",
          "chunk: restored",
          "direct: before it is written",
          "direct: half written",
          "direct: written",
          "undo: marked");

  private static final Set<String> POINTS =
      Set.of(
          "chunk: before its stamp",
          "chunk: stamped",
          "header: after the sync",
          "header: before it is valid",
          "header: before its slot is invalid",
          "header: before the sync",
          "header: checksum written",
          "header: fixed fields written",
          "header: intent written",
          "header: it is valid",
          "header: its slot is invalid",
          "header: position written",
          "plane: before it begins",
          "plane: before its mark",
          "plane: before its step",
          "plane: begun",
          "plane: marked",
          "plane: published",
          "progress: before it is cleared",
          "progress: before its mark",
          "progress: cleared",
          "progress: marked",
          "unit: before it is restored",
          "unit: before it is saved",
          "unit: changed",
          "unit: half changed",
          "unit: named",
          "unit: restored",
          "unit: saved");

  @ParameterizedTest
  @CsvSource({
    "1, F32, NEAREST, 1, 4096",
    "2, BF16, STOCHASTIC, 1, 512",
    "3, F32, STOCHASTIC, 3, 2048"
  })
  void aWriterKilledAtAnyPointAndInItsRecoveryLosesNothing(
      long seed, GradientPlane plane, Rounding rounding, int threads) throws IOException {
    Scenario scenario = new Scenario(seed, plane, rounding, 512);
    try (ScratchFolder scratch = new ScratchFolder();
        EveryPoint points =
            new EveryPoint(scenario, scratch.folder(), threads, SLICE, Fault.NONE)) {
      points.run(STRIDE);
      assertEquals(POINTS, points.kills().keySet(), "the points at which writers were killed");
      assertTrue(points.count() > 500, () -> points.count() + " kills");
    }
  }

  @ParameterizedTest
  @CsvSource({"6, F32, NEAREST, 1", "7, BF16, STOCHASTIC, 2"})
  void aDeviceKilledAtAnyPointAndTheCpuThatRecoversLoseNothing(
      long seed, GradientPlane plane, Rounding rounding, int threads) throws IOException {
    Scenario scenario = new Scenario(seed, plane, rounding, 512);
    try (ScratchFolder scratch = new ScratchFolder();
        EveryPoint points =
            new EveryPoint(scenario, scratch.folder(), threads, CHUNK, Fault.NONE)) {
      points.run(STRIDE);
      assertTrue(points.kills().keySet().containsAll(DEVICE_POINTS), points.kills()::toString);
      assertTrue(points.kills().containsKey("unit: half changed"), points.kills()::toString);
    }
  }

  /** Every second point, since each life makes files on a disk. */
  @ParameterizedTest
  @CsvSource({"12, F32, NEAREST, 1", "13, BF16, STOCHASTIC, 3"})
  void aWriterPastThePageCacheKilledAtAnyPointAndTheOneThatRecoversLoseNothing(
      long seed, GradientPlane plane, Rounding rounding, int threads) throws IOException {
    Scenario scenario = new Scenario(seed, plane, rounding, 512, 90);
    try (ScratchFolder scratch = ScratchFolder.onDisk();
        EveryPoint points =
            new EveryPoint(scenario, scratch.folder(), threads, DIRECT, Fault.NONE)) {
      points.run(STRIDE, 2);
      assertTrue(points.kills().keySet().containsAll(DIRECT_POINTS), points.kills()::toString);
    }
  }

  /** Norms by a rule of more state, of none, and of less. */
  @ParameterizedTest
  @CsvSource({
    "15, F32, STOCHASTIC, 1, SLICE",
    "16, BF16, NEAREST, 2, SLICE",
    "17, F32, NEAREST, 1, SLICE",
    "18, BF16, STOCHASTIC, 1, CHUNK",
    "19, F32, STOCHASTIC, 2, CHUNK"
  })
  void aWriterOfTwoRulesKilledAtAnyPointAndInItsRecoveryLosesNothing(
      long seed, GradientPlane plane, Rounding rounding, int threads, ProbedStores.Unit unit)
      throws IOException {
    Scenario scenario = new Scenario(seed, plane, rounding, 512).withNormsApart();
    try (ScratchFolder scratch = new ScratchFolder();
        EveryPoint points = new EveryPoint(scenario, scratch.folder(), threads, unit, Fault.NONE)) {
      points.run(STRIDE);
      assertTrue(points.kills().keySet().containsAll(unit == SLICE ? POINTS : DEVICE_POINTS));
      assertTrue(points.count() > 500, () -> points.count() + " kills");
    }
  }

  @ParameterizedTest
  @CsvSource({"21, F32, STOCHASTIC, 1", "22, BF16, NEAREST, 3", "24, F32, NEAREST, 2"})
  void aWriterOfTwoRulesPastThePageCacheKilledAtAnyPointLosesNothing(
      long seed, GradientPlane plane, Rounding rounding, int threads) throws IOException {
    Scenario scenario = new Scenario(seed, plane, rounding, 512, 40).withNormsApart();
    try (ScratchFolder scratch = ScratchFolder.onDisk();
        EveryPoint points =
            new EveryPoint(scenario, scratch.folder(), threads, DIRECT, Fault.NONE)) {
      points.run(STRIDE, 3);
      assertTrue(points.kills().keySet().containsAll(DIRECT_POINTS), points.kills()::toString);
    }
  }

  /** What a rule has seen of a tensor is in the intent: half stepped, it could not see it again. */
  @ParameterizedTest
  @CsvSource({
    "cautious-lion, F32, NEAREST, 1, SLICE, ALIKE",
    "cautious-lion, BF16, STOCHASTIC, 3, SLICE, APART",
    "cautious-lion-8bit, BF16, STOCHASTIC, 1, SLICE, ALIKE",
    "lamb, F32, NEAREST, 2, SLICE, ALIKE",
    "lars, BF16, NEAREST, 1, CHUNK, APART",
    "cautious-adamw, F32, STOCHASTIC, 2, CHUNK, ALIKE"
  })
  void aWriterThatLooksKilledAtAnyPointAndInItsRecoveryLosesNothing(
      String rule,
      GradientPlane plane,
      Rounding rounding,
      int threads,
      ProbedStores.Unit unit,
      Scenario.Norms norms)
      throws IOException {
    Scenario alike = new Scenario(Scenario.seedOf(rule), plane, rounding, 512);
    Scenario scenario = norms == Scenario.Norms.APART ? alike.withNormsApart() : alike;
    try (ScratchFolder scratch = new ScratchFolder();
        EveryPoint points = new EveryPoint(scenario, scratch.folder(), threads, unit, Fault.NONE)) {
      points.run(STRIDE);
      assertTrue(points.kills().keySet().containsAll(unit == SLICE ? POINTS : DEVICE_POINTS));
      assertTrue(points.kills().containsKey("header: looks written"), points.kills()::toString);
      assertTrue(points.count() > 500, () -> points.count() + " kills");
    }
  }

  @Test
  void aWriterThatLooksPastThePageCacheKilledAtAnyPointLosesNothing() throws IOException {
    long seed = Scenario.seedOf("cautious-lion");
    Scenario scenario = new Scenario(seed, GradientPlane.BF16, Rounding.STOCHASTIC, 512, 40);
    try (ScratchFolder scratch = ScratchFolder.onDisk();
        EveryPoint points = new EveryPoint(scenario, scratch.folder(), 2, DIRECT, Fault.NONE)) {
      points.run(STRIDE, 3);
      assertTrue(points.kills().keySet().containsAll(DIRECT_POINTS), points.kills()::toString);
    }
  }

  /** PoCL; one point of several, since each life opens the device anew. */
  @ParameterizedTest
  @CsvSource({
    "8, F32, NEAREST, 2, IN_PLACE",
    "9, BF16, STOCHASTIC, 1, IN_PLACE",
    "10, BF16, NEAREST, 1, STREAMING",
    "11, F32, STOCHASTIC, 2, STREAMING"
  })
  void anOpenClDeviceKilledAtAnyPointAndTheCpuThatRecoversLoseNothing(
      long seed, GradientPlane plane, Rounding rounding, int threads, ProbedStores.Unit unit)
      throws IOException {
    Scenario scenario = new Scenario(seed, plane, rounding, 512);
    try (ScratchFolder scratch = new ScratchFolder();
        EveryPoint points = new EveryPoint(scenario, scratch.folder(), threads, unit, Fault.NONE)) {
      points.run(STRIDE, 5);
      assertTrue(
          points.kills().keySet().stream().anyMatch(point -> point.startsWith("device: ")),
          points.kills()::toString);
    }
  }

  @ParameterizedTest
  @CsvSource({"24, F32, STOCHASTIC, 1, IN_PLACE", "26, BF16, NEAREST, 2, STREAMING"})
  void anOpenClDeviceOfTwoRulesKilledAtAnyPointLosesNothing(
      long seed, GradientPlane plane, Rounding rounding, int threads, ProbedStores.Unit unit)
      throws IOException {
    Scenario scenario = new Scenario(seed, plane, rounding, 512).withNormsApart();
    try (ScratchFolder scratch = new ScratchFolder();
        EveryPoint points = new EveryPoint(scenario, scratch.folder(), threads, unit, Fault.NONE)) {
      points.run(STRIDE, 7);
      assertTrue(
          points.kills().keySet().stream().anyMatch(point -> point.startsWith("device: ")),
          points.kills()::toString);
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = Fault.class,
      names = {
        "NONE",
        "LATER_STEP_IGNORED",
        "LOOKS_NOT_RECORDED",
        "CHANGE_NOT_REDONE",
        "CHANGE_JOURNAL_GONE_EARLY"
      },
      mode = EnumSource.Mode.EXCLUDE)
  void aPlantedFaultIsNoticed(Fault fault) throws IOException {
    Scenario scenario = new Scenario(4, GradientPlane.F32, Rounding.STOCHASTIC, 512);
    ProbedStores.Unit unit = fault == Fault.CHUNK_NOT_SAVED ? CHUNK : SLICE;
    try (ScratchFolder scratch = new ScratchFolder();
        EveryPoint points = new EveryPoint(scenario, scratch.folder(), 1, unit, fault)) {
      BrokenPromise broken = assertThrows(BrokenPromise.class, () -> points.run(STRIDE));
      assertTrue(points.count() > 0, broken::getMessage);
    }
  }

  @Test
  void aLookThatIsNotRecordedIsNoticed() throws IOException {
    long seed = Scenario.seedOf("cautious-lion");
    Scenario scenario = new Scenario(seed, GradientPlane.F32, Rounding.NEAREST, 512);
    try (ScratchFolder scratch = new ScratchFolder();
        EveryPoint points =
            new EveryPoint(scenario, scratch.folder(), 1, SLICE, Fault.LOOKS_NOT_RECORDED)) {
      BrokenPromise broken = assertThrows(BrokenPromise.class, () -> points.run(STRIDE));
      assertTrue(points.count() > 0, broken::getMessage);
    }
  }

  @Test
  void aChunkThatIsNotSavedPastThePageCacheIsNoticed() throws IOException {
    Scenario scenario = new Scenario(14, GradientPlane.F32, Rounding.STOCHASTIC, 512, 90);
    try (ScratchFolder scratch = ScratchFolder.onDisk();
        EveryPoint points =
            new EveryPoint(scenario, scratch.folder(), 1, DIRECT, Fault.CHUNK_NOT_SAVED)) {
      BrokenPromise broken = assertThrows(BrokenPromise.class, () -> points.run(STRIDE));
      assertTrue(points.count() > 0, broken::getMessage);
    }
  }

  @Test
  void aDamagedNewestHeaderNeverPassesForAnEarlierState() throws IOException {
    Scenario scenario = new Scenario(5, GradientPlane.F32, Rounding.STOCHASTIC, 512);
    try (ScratchFolder scratch = new ScratchFolder();
        EveryPoint points = new EveryPoint(scenario, scratch.folder(), 1, SLICE, Fault.NONE)) {
      points.runWithDamagedHeaders();
      assertTrue(points.refused() > 50, () -> points.refused() + " refused");
    }
  }

  @Test
  void aStoreThatIgnoresStampsOfALaterStepIsNoticed() throws IOException {
    Scenario scenario = new Scenario(5, GradientPlane.F32, Rounding.STOCHASTIC, 512);
    try (ScratchFolder scratch = new ScratchFolder();
        EveryPoint points =
            new EveryPoint(scenario, scratch.folder(), 1, SLICE, Fault.LATER_STEP_IGNORED)) {
      BrokenPromise broken = assertThrows(BrokenPromise.class, points::runWithDamagedHeaders);
      assertTrue(points.count() > 0, broken::getMessage);
    }
  }
}
