package dev.lionstore.audit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.GradientPlane;
import dev.lionstore.checkpoint.TensorRules;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PlannerTest {
  private static final long GIGA = 1_000_000_000;
  private static final Machine.Bandwidth BANDWIDTH =
      new Machine.Bandwidth(50.0 * GIGA, 2.0 * GIGA, 4.0 * GIGA);

  private static RunPlan plan(long ram, long gpu, long disk, UpdateRule rule, GradientPlane kept) {
    Machine machine = new Machine(ram * GIGA, ram * GIGA / 2, gpu * GIGA, disk * GIGA, BANDWIDTH);
    return new Planner(
            AuditedModel.ofCount("7e9", 7 * GIGA),
            TensorRules.of(rule),
            kept,
            machine,
            new Planner.Snapshots(2, 100))
        .plan();
  }

  private static RunPlan plan(long ram, long gpu, long disk) {
    return plan(ram, gpu, disk, UpdateRules.LION, GradientPlane.BF16);
  }

  @ParameterizedTest
  @CsvSource({
    "128, 0, 1000, 'tmpfs, gradient plane'",
    "64, 24, 1000, 'tmpfs, gradient plane'",
    "50, 0, 1000, 'tmpfs, streaming'",
    "24, 0, 1000, 'disk, past the page cache, gradient plane'",
    "24, 0, 127, 'disk, past the page cache, streaming'",
    "128, 0, 90, 'tmpfs, gradient plane'"
  })
  void theFastestThatFitsIsTaken(long ram, long gpu, long disk, String name) {
    assertEquals(name, plan(ram, gpu, disk).chosen().map(Mode::name).orElse("nothing"));
  }

  @ParameterizedTest
  @CsvSource({
    "24, 0, 100, 'more disk'",
    "1, 0, 1000, 'more RAM'",
    "128, 12, 1000, 'more GPU memory'"
  })
  void whatIsMissingIsNamed(long ram, long gpu, long disk, String lack) {
    RunPlan plan = plan(ram, gpu, disk);
    assertTrue(plan.chosen().isEmpty());
    List<String> last = plan.modes().getLast().lacks();
    assertTrue(last.stream().anyMatch(text -> text.endsWith(lack)), last.toString());
    assertTrue(plan.modes().stream().noneMatch(Mode::fits));
    assertEquals(0, plan.writtenPer1000());
  }

  @Test
  void aDiskMayHoldTheStoreInThePageCacheIfMemoryHoldsItTwice() {
    Mode disk = plan(200, 0, 1000).modes().get(2);
    assertEquals("disk, in the page cache, gradient plane", disk.name());
    assertEquals(plan(200, 0, 1000).modes().getFirst().stepSeconds(), disk.stepSeconds());
  }

  @Test
  void stepsTakeTheirBytesDividedByTheBandwidth() {
    List<Mode> modes = plan(24, 0, 1000).modes();
    assertEquals(7 * (12 + 2 + 4) / 50.0, modes.get(0).stepSeconds(), 1e-9, "put, then stepped");
    assertEquals(7 * (12 + 2 + 2) / 50.0, modes.get(1).stepSeconds(), 1e-9, "looked at first");
    assertEquals(7 * (2 / 4.0 + 14 / 2.0), modes.get(2).stepSeconds(), 1e-9);
    assertEquals(7 * 12 / 2.0, modes.get(3).stepSeconds(), 1e-9);
    assertEquals(List.of(0L, 0L, 56 * GIGA, 42 * GIGA), written(modes));
  }

  private static List<Long> written(List<Mode> modes) {
    return modes.stream().map(Mode::writtenPerStep).toList();
  }

  @Test
  void wearIsThatOfStepsAndSnapshots() {
    RunPlan disk = plan(24, 0, 1000);
    assertEquals(1000 * 56 * GIGA + 10 * 42 * GIGA, disk.writtenPer1000());
    RunPlan memory = plan(128, 0, 1000);
    assertEquals(10 * 42 * GIGA, memory.writtenPer1000(), "snapshots alone");
    assertEquals(42 / 4.0, memory.snapshotSeconds(), 1e-9);
    assertEquals(2 * 42 / 2.0, disk.snapshotSeconds(), 1e-9, "read from the same disk");
  }

  @Test
  void aTmpfsThatIsTooSmallIsEnlargedByTheCommandPrinted() {
    String advice = String.join("\n", plan(64, 0, 1000).advice());
    assertTrue(advice.contains("mount -o remount,size=53408M /dev/shm"), advice);
    assertFalse(String.join("\n", plan(128, 0, 1000).advice()).contains("remount"));
  }

  @Test
  void adviceSaysWhatWouldTakeLess() {
    RunPlan adamw = plan(24, 12, 100, UpdateRules.required("adamw"), GradientPlane.BF16);
    String advice = String.join("\n", adamw.advice());
    assertTrue(advice.contains("--rule lion takes 56.00 GB instead of 98.00 GB"), advice);
    assertTrue(advice.contains("--gpu 0"), advice);
    assertTrue(
        String.join("\n", plan(24, 0, 100).advice()).contains("--snapshots 0"),
        "the store fits, the snapshots do not");
  }

  @Test
  void withoutAGradientPlaneThereIsOnlyStreaming() {
    List<Mode> modes = plan(128, 0, 1000, UpdateRules.LION, GradientPlane.NONE).modes();
    assertEquals(2, modes.size());
    assertTrue(modes.stream().allMatch(Mode::streaming));
  }
}
