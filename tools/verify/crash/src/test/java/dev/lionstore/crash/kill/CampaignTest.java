package dev.lionstore.crash.kill;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.crash.harness.BrokenPromise;
import dev.lionstore.crash.harness.Counts;
import dev.lionstore.crash.probe.Fault;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Processes that are killed for real; {@code tools/bin/crash-test} does the same for longer. */
class CampaignTest {
  private static final int JOBS = 2;

  @TempDir Path folder;

  @Test
  void killedProcessesLoseNothing() throws IOException, InterruptedException {
    Campaign campaign = new Campaign(1, 2, 20, JOBS, Fault.NONE, Optional.empty());
    Counts tally = campaign.run(line -> {});
    assertTrue(tally.kills() >= 40, tally::toString);
  }

  @Test
  void roundsThatAreDoneAreNotRepeated() throws IOException, InterruptedException {
    Optional<Path> progress = Optional.of(folder.resolve("progress"));
    List<String> lines = new ArrayList<>();
    Counts first = new Campaign(7, 1, 2, 1, Fault.NONE, progress).run(lines::add);
    Counts both = new Campaign(7, 2, 2, 1, Fault.NONE, progress).run(lines::add);
    assertEquals(2, first.kills());
    assertEquals(4, both.kills());
    assertEquals(2, lines.size(), lines::toString);
  }

  @ParameterizedTest
  @EnumSource(
      value = Fault.class,
      names = {"STAMP_BEFORE_DATA", "UNIT_NOT_SAVED", "APPLIED_TWICE"})
  void aPlantedFaultIsNoticedByKilledProcesses(Fault fault) {
    Campaign campaign = new Campaign(11, 2, 60, JOBS, fault, Optional.empty());
    BrokenPromise broken = assertThrows(BrokenPromise.class, () -> campaign.run(line -> {}));
    assertTrue(String.valueOf(broken.getMessage()).contains("seed"), broken::toString);
  }
}
