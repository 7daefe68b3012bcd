package dev.lionstore.crash.kill;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.crash.harness.ProcessResult;
import dev.lionstore.crash.harness.ScratchFolder;
import dev.lionstore.crash.probe.Fault;
import dev.lionstore.crash.probe.ProbedStores;
import dev.lionstore.state.StoreBusyException;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StoreReader;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TwoProcessesTest {
  private static final int FOR_EVER = 1_000_000_000;

  @TempDir Path folder;

  @Test
  void oneProcessWinsTheOtherLearnsWhoHasItAndTakesOverWhenItDies()
      throws IOException, InterruptedException {
    Scenario scenario = Scenario.of(8);
    Path store = folder.resolve("store");
    scenario.create(store);
    Process holder = new ProcessBuilder(worker(store, scenario, FOR_EVER)).start();
    try (BufferedReader lines = holder.inputReader()) {
      while (!lines.readLine().startsWith(CrashWorker.AT)) {}
      String reason = "process " + holder.pid() + " has it open";
      StoreBusyException here =
          assertThrows(StoreBusyException.class, () -> StateStore.open(store));
      assertTrue(here.toString().contains(reason), here::toString);
      ProcessResult other = ProcessResult.run(worker(store, scenario, 1));
      assertEquals(1, other.exit(), other::out);
      assertTrue(other.out().contains(reason), other::out);
      readBeside(store);
    } finally {
      holder.destroyForcibly().waitFor();
    }
    try (StateStore taken = StateStore.open(store);
        ScratchFolder scratch = new ScratchFolder();
        ExpectedState expected =
            new ExpectedState(scenario, scratch.folder().resolve("expected"))) {
      assertEquals(expected.fingerprint(taken.step()), Fingerprint.of(taken));
    }
  }

  /** Whatever a living writer is doing, a reader never calls it damage. */
  private static void readBeside(Path store) throws IOException {
    for (int i = 0; i < 300; i++) {
      try (StoreReader reader = StoreReader.open(store)) {
        assertTrue(reader.condition().usable(), reader.condition()::toString);
      }
    }
  }

  private static String[] worker(Path store, Scenario scenario, int steps) {
    CrashWorker.Life life =
        new CrashWorker.Life(
            store, scenario, 2, steps, CrashWorker.UNPROBED, ProbedStores.Unit.SLICE, Fault.NONE);
    return ProcessResult.worker(List.of(), CrashWorker.class, life.arguments());
  }
}
