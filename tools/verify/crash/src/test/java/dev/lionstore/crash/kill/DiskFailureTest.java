package dev.lionstore.crash.kill;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.crash.harness.ProcessResult;
import dev.lionstore.crash.harness.ScratchFolder;
import dev.lionstore.crash.probe.Fault;
import dev.lionstore.crash.probe.ProbedStores;
import dev.lionstore.state.Condition;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Disks that are full and disks that fail. Needs root, loop devices and strace; fails without. */
class DiskFailureTest {
  private static final int KILLED_BY_SIGNAL = 128;

  @TempDir Path folder;

  @Test
  void aStoreOnADiskThatIsFullSinceStepsOnAndClosesCleanly()
      throws IOException, InterruptedException {
    try (SmallDisk disk = new SmallDisk(folder);
        ScratchFolder scratch = new ScratchFolder();
        ExpectedState expected =
            new ExpectedState(Scenario.of(3), scratch.folder().resolve("expected"))) {
      Path store = disk.mounted().resolve("store");
      Scenario.of(3).create(store);
      disk.fill();
      try (StateStore open = StateStore.open(store)) {
        for (int step = 1; step <= 20; step++) {
          Scenario.of(3).step(open);
          assertEquals(expected.fingerprint(step), Fingerprint.of(open));
        }
      }
      try (StoreReader reader = StoreReader.openAtRest(store)) {
        assertEquals(Condition.State.CLEAN, reader.condition().state());
        assertEquals(20, reader.step());
      }
    }
  }

  @Test
  void aStoreOnAFullDiskThatCopiesOnWriteStepsOn() throws IOException, InterruptedException {
    try (SmallDisk disk = SmallDisk.btrfs(folder)) {
      Path store = disk.mounted().resolve("store");
      Scenario.of(3).create(store);
      // One whose files are preallocated, too, but copied on write.
      Path copied = disk.mounted().resolve("copied");
      ScratchFolder.copy(store, copied);
      disk.fillUntilRefused();
      ProcessResult inPlace = step(store);
      assertEquals(0, inPlace.exit(), inPlace::out);
      ProcessResult onCopies = step(copied);
      assertTrue(onCopies.exit() != 0, "the disk was not full: this test shows nothing");
    }
  }

  private static ProcessResult step(Path store) throws IOException, InterruptedException {
    CrashWorker.Life life =
        new CrashWorker.Life(
            store,
            Scenario.of(3),
            2,
            20,
            CrashWorker.UNPROBED,
            ProbedStores.Unit.SLICE,
            Fault.NONE);
    return ProcessResult.run(ProcessResult.worker(List.of(), CrashWorker.class, life.arguments()));
  }

  @Test
  void aStoreThatDoesNotFitIsRefusedAndLeavesNothing() throws IOException, InterruptedException {
    try (SmallDisk disk = new SmallDisk(folder)) {
      int made = 0;
      IOException refused = null;
      while (refused == null && made < 100) {
        try {
          Scenario.of(3).create(disk.mounted().resolve("store-" + made));
          made++;
        } catch (IOException e) {
          refused = e;
        }
      }
      assertTrue(made > 3, () -> "the disk is too small for this test");
      assertTrue(String.valueOf(refused).contains(disk.mounted().toString()), refused + "");
      try (Stream<Path> left = Files.list(disk.mounted())) {
        int stores = made;
        assertEquals(
            0,
            left.filter(path -> !path.getFileName().toString().equals("lost+found"))
                .filter(path -> !path.getFileName().toString().matches("store-\\d+"))
                .count(),
            () -> stores + " stores");
      }
      StateStore.open(disk.mounted().resolve("store-0")).close();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"fsync", "fdatasync", "msync"})
  void aSyncThatFailsIsATypedErrorAndFinal(String call) throws IOException, InterruptedException {
    Scenario scenario = Scenario.of(6);
    Path original = folder.resolve("original");
    scenario.create(original);
    int failures = 0;
    // A store calls fsync alone.
    int most = call.equals("fsync") ? 12 : 2;
    for (int failing = 1; failing <= most; failing++) {
      Path store = ScratchFolder.copy(original, folder.resolve(call + failing));
      CrashWorker.Life life =
          new CrashWorker.Life(
              store, scenario, 2, 2, CrashWorker.UNPROBED, ProbedStores.Unit.SLICE, Fault.NONE);
      ProcessResult worker =
          ProcessResult.run(
              ProcessResult.worker(failing(call, failing), CrashWorker.class, life.arguments()));
      if (worker.exit() == 0) {
        try (StoreReader reader = StoreReader.openAtRest(store)) {
          assertEquals(2, reader.step());
        }
      } else {
        failures++;
        assertTyped(worker);
        IOException refused = assertThrows(IOException.class, () -> StateStore.open(store));
        assertTrue(refused.toString().contains("the disk failed"), refused::toString);
      }
    }
    // A life syncs its header on opening; on closing its planes, gradients, progress and header,
    // then its header again.
    int syncs = StoreReader.layoutOf(original).planes().size() + 5;
    assertEquals(call.equals("fsync") ? syncs : 0, failures);
  }

  @Test
  void aStoreWhoseMakingMeetsAFailedSyncIsAbsent() throws IOException, InterruptedException {
    int failures = 0;
    int most = 40;
    for (int failing = 1; failing <= most; failing++) {
      Path parent = Files.createDirectory(folder.resolve("create-" + failing));
      ProcessResult worker =
          ProcessResult.run(
              ProcessResult.worker(
                  failing("fsync", failing),
                  CreateWorker.class,
                  parent.resolve("store").toString(),
                  "6"));
      if (worker.exit() == 0) {
        StateStore.open(parent.resolve("store")).close();
        break;
      }
      failures++;
      assertTyped(worker);
      try (Stream<Path> left = Files.list(parent)) {
        List<Path> entries = left.toList();
        // The last sync is that of the parent: the store is complete then, only not durable yet.
        if (!entries.isEmpty()) {
          assertEquals(List.of(parent.resolve("store")), entries);
          StateStore.open(parent.resolve("store")).close();
        }
      }
    }
    assertTrue(failures > 10 && failures < most, failures + " syncs");
  }

  private List<String> failing(String call, int which) {
    return List.of(
        "strace",
        "--follow-forks",
        "--output=" + folder.resolve("strace.log"),
        "--trace=" + call,
        "--inject=" + call + ":error=EIO:when=" + which);
  }

  private static void assertTyped(ProcessResult worker) {
    assertEquals(1, worker.exit(), worker::out);
    assertTrue(worker.exit() < KILLED_BY_SIGNAL, worker::out);
    assertTrue(worker.out().contains("java.nio.file.FileSystemException"), worker::out);
    assertTrue(worker.out().contains("the disk failed to keep"), worker::out);
  }
}
