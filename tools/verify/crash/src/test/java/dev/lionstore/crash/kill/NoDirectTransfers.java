package dev.lionstore.crash.kill;

import dev.lionstore.checkpoint.CarriedContent;
import dev.lionstore.checkpoint.Snapshot;
import dev.lionstore.checkpoint.SnapshotWriter;
import dev.lionstore.checkpoint.Verified;
import dev.lionstore.crash.harness.SeccompListener;
import dev.lionstore.os.DirectAccess;
import dev.lionstore.store.PlaneAccess;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StoreOptions;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** A process in which files can be opened with O_DIRECT, but every transfer by that fails. */
final class NoDirectTransfers {
  static final String OPENED = "direct access: ";
  static final String FAILED_READ = "failed: read";
  static final String FAILED_WRITE = "failed: write";

  private static final int[] TRANSFERS = {SeccompListener.PREAD, SeccompListener.PWRITE};
  private static final int DIRECT = 0x4000;
  private static final int OCTAL = 8;
  private static final int STEPS = 5; // some have no gradient for the large tensor
  private static final long SHARD_BYTES = 4000;

  private NoDirectTransfers() {}

  /** What the process does. */
  enum Task {
    /** Opens a file. */
    OPEN,
    /** Steps a store past the page cache. */
    STEP,
    /** Takes a snapshot of a store, verifies it and restores it, all beside the store. */
    SNAPSHOT
  }

  static String[] arguments(Task task, Path path, int errno) {
    return new String[] {task.name(), path.toString(), Integer.toString(errno)};
  }

  /** Says what has come of it, and of each transfer that has failed. */
  public static void main(String[] arguments) throws IOException {
    Path path = Path.of(arguments[1]);
    int errno = Integer.parseInt(arguments[2]);
    SeccompListener.start(TRANSFERS, call -> decide(call, errno));
    switch (Task.valueOf(arguments[0])) {
      case OPEN -> System.out.println(OPENED + isDirect(path));
      case STEP -> step(path);
      case SNAPSHOT -> snapshot(path);
    }
  }

  private static SeccompListener.Verdict decide(SeccompListener.Syscall call, int errno) {
    try {
      String flags =
          Files.readAllLines(Path.of("/proc/self/fdinfo/" + (int) call.first())).stream()
              .filter(line -> line.startsWith("flags:"))
              .findFirst()
              .orElseThrow();
      if ((Integer.parseInt(flags.replaceAll("\\D", ""), OCTAL) & DIRECT) == 0) {
        return SeccompListener.Verdict.GO_ON;
      }
      System.out.println(call.number() == SeccompListener.PREAD ? FAILED_READ : FAILED_WRITE);
      return SeccompListener.Verdict.fail(errno);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Whether a file can be opened for direct access. */
  static boolean isDirect(Path file) throws IOException {
    Optional<DirectAccess> opened = DirectAccess.open(file);
    opened.ifPresent(DirectAccess::close);
    return opened.isPresent();
  }

  private static void step(Path store) throws IOException {
    StoreOptions options = StoreOptions.defaults().withAccess(PlaneAccess.DIRECT);
    try (StateStore open = StateStore.open(store, options)) {
      for (int step = 0; step < STEPS; step++) {
        NoDirectTransfersTest.SCENARIO.step(open);
      }
    }
  }

  private static void snapshot(Path store) throws IOException {
    Path made;
    try (StoreReader reader = StoreReader.openAtRest(store);
        CarriedContent carried = CarriedContent.ofStore(reader)) {
      made =
          SnapshotWriter.write(
              reader, carried, store.resolveSibling("snapshots"), SHARD_BYTES, _ -> {});
    }
    Verified.check(made, _ -> {});
    try (Snapshot snapshot = Snapshot.open(made)) {
      snapshot.restore(store.resolveSibling("restored"), 256, _ -> {});
    }
  }
}
