package dev.lionstore.crash.kill;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.crash.harness.BrokenPromise;
import dev.lionstore.crash.harness.ScratchFolder;
import dev.lionstore.crash.probe.Fault;
import java.io.IOException;
import java.util.Set;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class EveryPointOfAChangeTest {
  private static final Set<String> POINTS =
      Set.of(
          "changes: before it is allocated",
          "changes: allocated",
          "changes: filled",
          "changes: sealed",
          "changes: before it is renamed",
          "changes: renamed",
          "changes: before it is given up",
          "changes: given up",
          "changes: before it is deleted",
          "changes: deleted",
          "progress: change counted",
          "run: before it is written",
          "run: half written",
          "run: written",
          "header: before it is valid",
          "header: it is valid");

  @ParameterizedTest
  @CsvSource("22, BF16, 2")
  void aWriterKilledAtAnyPointOfAChangeAndInItsRecoveryLeavesAllOfItOrNone(
      long seed, GradientPlane plane, int threads) throws IOException {
    Scenario scenario = new Scenario(seed, plane, Rounding.STOCHASTIC, 512, 3);
    try (ScratchFolder scratch = new ScratchFolder()) {
      EveryPointOfAChange points =
          new EveryPointOfAChange(scenario, scratch.folder(), threads, Fault.NONE);
      points.run(23);
      assertTrue(points.kills().keySet().containsAll(POINTS), points.kills()::toString);
      assertTrue(points.pending() > 50, () -> points.pending() + " pending");
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"CHANGE_NOT_REDONE", "CHANGE_JOURNAL_GONE_EARLY"})
  void aPlantedFaultIsNoticed(Fault fault) throws IOException {
    Scenario scenario = new Scenario(23, GradientPlane.F32, Rounding.NEAREST, 512, 3);
    try (ScratchFolder scratch = new ScratchFolder()) {
      EveryPointOfAChange points = new EveryPointOfAChange(scenario, scratch.folder(), 1, fault);
      BrokenPromise broken = assertThrows(BrokenPromise.class, () -> points.run(7));
      assertTrue(!points.kills().isEmpty(), broken::getMessage);
    }
  }
}
