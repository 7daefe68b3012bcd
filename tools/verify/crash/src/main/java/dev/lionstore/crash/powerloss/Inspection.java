package dev.lionstore.crash.powerloss;

import dev.lionstore.checkpoint.Snapshot;
import dev.lionstore.checkpoint.SnapshotPointer;
import dev.lionstore.crash.harness.BrokenPromise;
import dev.lionstore.crash.harness.Counts;
import dev.lionstore.os.UnfinishedFolder;
import dev.lionstore.state.Condition;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;

/** Compares what a mounted disk holds with what was promised. */
final class Inspection {
  private final Path store;
  private final Path snapshots;
  private final Reference reference;
  private final Counts tally;

  /**
   * Prepares.
   *
   * @param tally counts what is found
   */
  Inspection(Path mounted, Reference reference, Counts tally) {
    this.store = Workload.store(mounted);
    this.snapshots = Workload.snapshots(mounted);
    this.reference = reference;
    this.tally = tally;
  }

  /**
   * Looks at everything.
   *
   * @throws BrokenPromise if anything is not as it must be
   */
  void check(Promise promise) throws IOException {
    List<Path> found = Snapshot.list(snapshots);
    Set<Long> steps = new TreeSet<>();
    for (Path snapshot : found) {
      steps.add(checkSnapshot(snapshot));
    }
    require(
        steps.containsAll(promise.snapshots()),
        "acknowledged were snapshots of " + promise.snapshots() + ", there are " + found);
    require(
        steps.stream().allMatch(step -> step >= promise.gone()),
        "snapshots before step " + promise.gone() + " were removed, there are " + found);
    checkPointer(promise.pointed());
    checkStore(promise);
  }

  private long checkSnapshot(Path folder) {
    try (Snapshot snapshot = Snapshot.open(folder)) {
      snapshot.verify(_ -> {});
      require(reference.isSame(snapshot), folder + " holds another state than that of its step");
      tally.add("snapshots-whole", 1);
      return snapshot.step();
    } catch (IOException e) {
      throw new BrokenPromise("a snapshot cannot be read: " + e, e);
    }
  }

  /** A pointer that is there at all names a snapshot: it is written after it. */
  private void checkPointer(OptionalLong pointed) throws IOException {
    Path file = store.resolveSibling(store.getFileName() + ".snapshot");
    Optional<Path> named = SnapshotPointer.read(store);
    if (named.isPresent()) {
      long step = checkSnapshot(named.get());
      require(step >= pointed.orElse(-1), "the pointer names " + named + ", not " + pointed);
      tally.add("pointers-good", 1);
    } else {
      require(pointed.isEmpty(), "no pointer, but that to step " + pointed + " was acknowledged");
      require(!Files.exists(file), "the pointer names no snapshot: " + read(file));
    }
  }

  private static String read(Path file) throws IOException {
    return Files.exists(file) ? Files.readString(file) : "";
  }

  private void checkStore(Promise promise) {
    if (promise.store() == Promise.Store.IN_MAKING && !Files.exists(store)) {
      tally.add("stores-absent", 1);
      return;
    }
    boolean mayBeRefused = promise.store() == Promise.Store.OPEN;
    try (StoreReader reader = StoreReader.open(store)) {
      Condition condition = reader.condition();
      if (condition.state() == Condition.State.CLEAN) {
        require(reference.isSame(reader), "the store is clean, and not what it was at its step");
        require(reader.step() >= promise.storeStep(), "the store is back at " + condition);
        tally.add("stores-clean", 1);
        return;
      }
      require(!condition.usable(), "the store is trusted after a power cut: " + condition);
      require(mayBeRefused, "the store was closed, and is refused: " + condition);
      tally.add("stores-untrusted", 1);
    } catch (IOException e) {
      if (!mayBeRefused) {
        throw new BrokenPromise("the store was closed, and cannot be read: " + e, e);
      }
      tally.add("stores-refused", 1);
    }
  }

  /** How many unfinished folders a dead process has left. */
  int leftovers() throws IOException {
    return Files.isDirectory(snapshots) ? UnfinishedFolder.in(snapshots, _ -> true).size() : 0;
  }

  /**
   * Goes on where the power was cut: the next snapshot can be taken, and removes leftovers.
   *
   * @throws BrokenPromise if it cannot, or does not
   */
  void checkNextSnapshot() throws IOException {
    int before = leftovers();
    checkSnapshot(reference.snapshotNext(snapshots));
    require(leftovers() == 0, leftovers() + " of " + before + " leftovers are left");
    tally.add("leftovers-removed", before);
    tally.add("next-snapshots", 1);
  }

  private static void require(boolean holds, String otherwise) {
    if (!holds) {
      throw new BrokenPromise(otherwise);
    }
  }
}
