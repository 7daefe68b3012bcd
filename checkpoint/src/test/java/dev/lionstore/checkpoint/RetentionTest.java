package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.FormatException;
import dev.lionstore.os.OldFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Five snapshots of one run, at steps 1 to 5. */
class RetentionTest {
  private static final String LEFT = "; it is left alone and not counted";

  @TempDir static Path made;
  private static Path store;

  @TempDir Path folder;
  private Path snapshots;

  @BeforeAll
  static void takeFive() throws IOException {
    store = Models.steppedStore(made, 1);
    Models.snapshot(store, made.resolve("snapshots"), 1L << 40);
    for (int step = 1; step < 5; step++) {
      Models.step(store, step, step + 1);
      Models.snapshot(store, made.resolve("snapshots"), 1L << 40);
    }
  }

  @BeforeEach
  void copyThem() throws IOException {
    snapshots = folder.resolve("snapshots");
    try (Stream<Path> tree = Files.walk(made.resolve("snapshots"))) {
      for (Path path : tree.toList()) {
        Files.copy(path, snapshots.resolve(made.resolve("snapshots").relativize(path)));
      }
    }
  }

  private Path at(long step) {
    return SnapshotWriter.path(snapshots, step);
  }

  private Retention.Outcome keep(int newest, int count) throws IOException {
    return Retention.keep(Verified.check(at(newest), bytes -> {}), count);
  }

  private void assertSteps(int... steps) throws IOException {
    assertEquals(Arrays.stream(steps).mapToObj(this::at).toList(), Snapshot.list(snapshots));
  }

  private static void damage(Path file) throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    bytes[bytes.length - 1] ^= 1;
    Files.write(file, bytes);
  }

  @Test
  void keepsTheHighestStepsAndRemovesTheRestOldestFirst() throws IOException {
    Retention.Outcome outcome = keep(5, 2);
    assertEquals(List.of(at(1), at(2), at(3)), outcome.removed());
    assertEquals(List.of(), outcome.leftAlone());
    assertEquals(
        List.of(".step-000000000005.verified", "step-000000000004", "step-000000000005"),
        Models.names(snapshots));
    assertEquals(new Retention.Outcome(List.of(), List.of()), keep(5, 2));
    assertEquals(List.of(at(4)), keep(5, 1).removed());
    assertSteps(5);
    assertEquals(List.of(), keep(5, 1).removed());
    assertEquals(List.of(), keep(5, Integer.MAX_VALUE).removed());
  }

  @Test
  void theNewestOlderOneThatIsKnownToBeGoodIsKeptIfNoneOfTheOthersIs() throws IOException {
    Verified.check(at(1), bytes -> {});
    Verified.check(at(2), bytes -> {});
    damage(at(4).resolve("optimizer.safetensors"));
    Retention.Outcome outcome = keep(5, 3);
    assertEquals(List.of(at(1)), outcome.removed());
    assertEquals(
        List.of(
            at(2)
                + ": is kept besides, as the newest older one that is known to be good; lionstore"
                + " snapshots --verify finds out about the others"),
        outcome.leftAlone());
    assertSteps(2, 3, 4, 5);
    Verified.check(at(3), bytes -> {});
    assertEquals(new Retention.Outcome(List.of(at(2)), List.of()), keep(5, 3));
    assertEquals(List.of(at(3), at(4)), keep(5, 1).removed());
    assertSteps(5);
  }

  @Test
  void nothingIsRemovedWhenTheNewestIsDamaged() throws IOException {
    VerificationNote.write(at(5));
    damage(at(5).resolve("optimizer.safetensors"));
    assertThrows(FormatException.class, () -> keep(5, 1));
    assertSteps(1, 2, 3, 4, 5);
    assertTrue(VerificationNote.read(at(5)).isEmpty());
  }

  @Test
  void aCountBelowOneIsRefused() throws IOException {
    Verified newest = Verified.check(at(5), bytes -> {});
    for (int count : new int[] {0, -1, Integer.MIN_VALUE}) {
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> Retention.keep(newest, count));
      assertEquals("keep is " + count + ", expected at least 1", e.getMessage());
    }
    assertSteps(1, 2, 3, 4, 5);
  }

  @Test
  void snapshotsOfLaterStepsAreOfAnotherTimeLineAndStay() throws IOException {
    Retention.Outcome outcome = keep(3, 1);
    assertEquals(List.of(at(1), at(2)), outcome.removed());
    assertEquals(
        List.of(
            at(3)
                + ": snapshots of later steps stand beside it and are left alone: "
                + "step-000000000004, step-000000000005"),
        outcome.leftAlone());
    assertSteps(3, 4, 5);
  }

  @Test
  void whatIsDamagedIsLeftAndDoesNotTakeThePlaceOfAWholeOne() throws IOException {
    damage(at(4).resolve(Manifest.NAME));
    Path cut = at(2).resolve("position.bin");
    Files.write(cut, new byte[1]);
    Retention.Outcome outcome = keep(5, 2);
    assertEquals(List.of(at(1)), outcome.removed());
    assertEquals(2, outcome.leftAlone().size(), outcome::toString);
    assertEquals(cut + ": size is 1 bytes, expected 12 bytes" + LEFT, outcome.leftAlone().get(0));
    String manifest = outcome.leftAlone().get(1);
    assertTrue(manifest.startsWith(at(4).resolve(Manifest.NAME) + ": the checksum"), manifest);
    assertSteps(2, 3, 4, 5);
  }

  @Test
  void aDamagedHeaderDoesNotTakeThePlaceOfAWholeSnapshotEither() throws IOException {
    Path model = at(4).resolve("model.safetensors");
    byte[] bytes = Files.readAllBytes(model);
    bytes[8] ^= 1;
    Files.write(model, bytes);
    Retention.Outcome outcome = keep(5, 2);
    assertEquals(List.of(at(1), at(2)), outcome.removed());
    assertEquals(1, outcome.leftAlone().size(), outcome::toString);
    assertTrue(outcome.leftAlone().getFirst().startsWith(model + ": "), outcome::toString);
    assertSteps(3, 4, 5);
  }

  @Test
  void whatOnlyLooksLikeASnapshotIsLeft() throws IOException {
    Path empty = Files.createDirectory(at(0));
    Path foreign = SnapshotWriter.path(snapshots, 1);
    Files.writeString(foreign.resolve("evaluation.txt"), "mine");
    Files.move(at(2), folder.resolve("elsewhere"));
    Files.createSymbolicLink(at(2), folder.resolve("elsewhere"));
    List<String> others = List.of("step-3", "notes", ".step-000000000003.removed-1", "step-x");
    for (String other : others) {
      Files.createDirectory(snapshots.resolve(other));
      Files.writeString(snapshots.resolve(other).resolve("mine"), "mine");
    }
    Retention.Outcome outcome = keep(5, 1);
    assertEquals(List.of(at(3), at(4)), outcome.removed());
    assertEquals(
        List.of(
            empty + ": not a snapshot: it has no manifest.json" + LEFT,
            foreign.resolve("evaluation.txt")
                + ": is no file of this snapshot: manifest.json lacks it"
                + LEFT,
            at(2) + ": is a symbolic link" + LEFT),
        outcome.leftAlone());
    for (String other : others) {
      assertEquals(List.of("mine"), Models.names(snapshots.resolve(other)));
    }
    Verified.check(folder.resolve("elsewhere"), bytes -> {});
  }

  @Test
  void aRenamedSnapshotIsLeft() throws IOException {
    Path renamed = Files.move(at(2), at(0));
    assertEquals(
        List.of(
            renamed.resolve(Manifest.NAME)
                + ": step is 2, expected 0 as the folder's name says; rename it to step-000000000002"
                + LEFT),
        keep(5, 1).leftAlone());
    assertSteps(0, 5);
  }

  @Test
  void aSnapshotOfAnotherModelIsLeft() throws IOException {
    Path model = Models.folder(folder, "other", List.of(Models.floats("w", "F32", List.of(7L), 1)));
    Path other = folder.resolve("other store");
    ModelImport.run(model, other, Models.options(), bytes -> {});
    Path elsewhere = Models.snapshot(other, folder.resolve("others"), 1L << 40);
    Path theirs = Files.move(elsewhere, at(0));
    assertEquals(
        List.of(at(0) + ": is of another model, or has its tensors in other groups" + LEFT),
        keep(5, 1).leftAlone());
    assertSteps(0, 5);
    assertEquals(List.of(), Retention.keep(Verified.check(theirs, bytes -> {}), 1).removed());
  }

  @Test
  void aKillAfterTheRenameLeavesWhatTheNextSnapshotRemoves() throws IOException {
    Path half = snapshots.resolve(".step-000000000001.removed-1-1");
    Files.move(at(1), half);
    Files.delete(half.resolve(Manifest.NAME));
    assertSteps(2, 3, 4, 5);
    assertEquals(half, SnapshotFolder.unfinished(snapshots).getFirst().path());
    OldFolder.remove(at(5));
    Models.snapshot(store, snapshots, 1L << 40);
    assertEquals(
        IntStream.rangeClosed(2, 5).mapToObj(this::at).map(Path::getFileName).toList(),
        Models.names(snapshots).stream().map(Path::of).toList());
  }

  @Test
  void whoReadsASnapshotThatIsRemovedGoesOn() throws IOException {
    String hash;
    try (Snapshot before = Snapshot.open(at(1))) {
      hash = ContentHash.of(before, bytes -> {});
    }
    Path restored = folder.resolve("restored");
    try (Snapshot reading = Snapshot.open(at(1))) {
      keep(5, 1);
      assertSteps(5);
      assertEquals(hash, ContentHash.of(reading, bytes -> {}));
    }
    try (Snapshot kept = Snapshot.open(at(5))) {
      kept.restore(restored, 256, bytes -> {});
    }
    assertEquals(Models.hash(store), Models.hash(restored));
  }

  @Test
  void theNoteOfARemovedSnapshotGoesWithIt() throws IOException {
    Verified.check(at(1), bytes -> {});
    Verified.check(at(2), bytes -> {});
    assertTrue(Models.names(snapshots).contains(".step-000000000001.verified"));
    keep(5, 4);
    assertEquals(
        List.of(".step-000000000002.verified", ".step-000000000005.verified"),
        Models.names(snapshots).stream().filter(name -> name.endsWith("verified")).toList());
  }
}
