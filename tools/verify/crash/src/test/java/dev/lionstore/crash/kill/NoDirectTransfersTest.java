package dev.lionstore.crash.kill;

import static dev.lionstore.crash.kill.NoDirectTransfers.FAILED_READ;
import static dev.lionstore.crash.kill.NoDirectTransfers.FAILED_WRITE;
import static dev.lionstore.crash.kill.NoDirectTransfers.OPENED;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.crash.harness.ProcessResult;
import dev.lionstore.crash.harness.ScratchFolder;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Disks that take O_DIRECT when a file is opened and then fail, and some that fail already then.
 * Needs root and strace, and a working folder on a disk that has direct I/O; fails without.
 */
class NoDirectTransfersTest {
  /** With a tensor of many pages. */
  static final Scenario SCENARIO = new Scenario(3, GradientPlane.F32, Rounding.NEAREST, 4096, 200);

  private static final int INVALID = 22;
  private static final int IO_ERROR = 5;

  private ScratchFolder scratch;
  private Path file;

  @BeforeEach
  void make() throws IOException {
    scratch = ScratchFolder.onDisk();
    file = Files.write(scratch.folder().resolve("file").toAbsolutePath(), new byte[10_000]);
    assertTrue(NoDirectTransfers.isDirect(file), "the disk has no direct I/O");
  }

  @AfterEach
  void remove() throws IOException {
    scratch.close();
  }

  @Test
  void aDiskThatRefusesEveryTransferHasNoDirectIo() throws IOException, InterruptedException {
    ProcessResult worker = run(NoDirectTransfers.Task.OPEN, file, INVALID);
    assertTrue(worker.out().endsWith(FAILED_READ + "\n" + OPENED + "false"), worker::out);
  }

  @Test
  void aDiskThatFailsIsAnError() throws IOException, InterruptedException {
    ProcessResult worker = run(NoDirectTransfers.Task.OPEN, file, IO_ERROR);
    assertFails("reading bytes from 0 failed: ", IO_ERROR, worker);
  }

  @ParameterizedTest
  @CsvSource({"EIO, 5", "EMFILE, 24"})
  void aFileThatCannotBeOpenedSoIsAnError(String error, int errno)
      throws IOException, InterruptedException {
    assertFails("cannot be opened for direct access: ", errno, runWithSecondOpen(error));
  }

  @Test
  void aDiskThatRefusesTheFlagHasNoDirectIo() throws IOException, InterruptedException {
    ProcessResult worker = runWithSecondOpen("EINVAL");
    assertTrue(worker.out().endsWith(OPENED + "false"), worker::out);
    assertFalse(worker.out().contains(FAILED_READ), worker::out);
  }

  @Test
  void aStoreThereIsNotSteppedPastTheCache() throws IOException, InterruptedException {
    Path store = steppedStore();
    String before = fingerprint(store);
    ProcessResult worker = run(NoDirectTransfers.Task.STEP, store, INVALID);
    assertEquals(1, worker.exit(), worker::out);
    assertTrue(worker.out().contains("has no direct I/O"), worker::out);
    assertEquals(before, fingerprint(store));
  }

  @Test
  void snapshotsThereAreWrittenVerifiedAndRestored() throws IOException, InterruptedException {
    Path store = steppedStore();
    ProcessResult worker = run(NoDirectTransfers.Task.SNAPSHOT, store, INVALID);
    assertEquals(0, worker.exit(), worker::out);
    assertTrue(worker.out().contains(FAILED_WRITE), worker::out);
    assertTrue(worker.out().contains(FAILED_READ), worker::out);
    assertEquals(fingerprint(store), fingerprint(store.resolveSibling("restored")));
  }

  private Path steppedStore() throws IOException {
    Path store = scratch.folder().resolve("store");
    SCENARIO.create(store);
    try (StateStore open = StateStore.open(store)) {
      SCENARIO.step(open);
    }
    return store;
  }

  private static String fingerprint(Path store) throws IOException {
    try (StoreReader reader = StoreReader.openAtRest(store)) {
      return Fingerprint.of(reader);
    }
  }

  private ProcessResult runWithSecondOpen(String error) throws IOException, InterruptedException {
    return run(
        List.of(
            "strace",
            "--follow-forks",
            "--output=" + scratch.folder().resolve("strace.log"),
            "--trace-path=" + file,
            "--inject=openat:error=" + error + ":when=2"),
        NoDirectTransfers.Task.OPEN,
        file,
        INVALID);
  }

  private static ProcessResult run(NoDirectTransfers.Task task, Path path, int errno)
      throws IOException, InterruptedException {
    return run(List.of(), task, path, errno);
  }

  private static ProcessResult run(
      List<String> before, NoDirectTransfers.Task task, Path path, int errno)
      throws IOException, InterruptedException {
    String[] arguments = NoDirectTransfers.arguments(task, path, errno);
    return ProcessResult.run(ProcessResult.worker(before, NoDirectTransfers.class, arguments));
  }

  private void assertFails(String doing, int errno, ProcessResult worker) {
    assertEquals(1, worker.exit(), worker::out);
    assertTrue(worker.out().contains(file + ": " + doing), worker::out);
    assertTrue(worker.out().contains("(errno " + errno + ")"), worker::out);
  }
}
