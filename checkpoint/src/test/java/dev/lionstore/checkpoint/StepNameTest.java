package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.lionstore.FormatException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A snapshot is of the step that its folder's name says, whatever has given it the name. */
class StepNameTest {
  @TempDir Path folder;
  private Path snapshot = Path.of("");
  private Path seven = Path.of("");

  @BeforeEach
  void takeOne() throws IOException {
    Path store = Models.steppedStore(folder, 1);
    snapshot = Models.snapshot(store, folder.resolve("snapshots"), 1L << 40);
    seven = SnapshotWriter.path(folder.resolve("snapshots"), 7);
  }

  private static void assertRefused(Path path, Path named) {
    FormatException e = assertThrows(FormatException.class, () -> Snapshot.open(path).close());
    assertEquals(
        named.resolve(Manifest.NAME)
            + ": step is 1, expected 7 as the folder's name says; rename it to step-000000000001",
        e.getMessage());
    assertThrows(FormatException.class, () -> Verified.check(path, bytes -> {}));
  }

  @Test
  void aRenamedOneIsNoneOfThatStep() throws IOException {
    Files.move(snapshot, seven);
    assertRefused(seven, seven);
    assertRefused(seven.resolve("."), seven);
    assertRefused(Files.createSymbolicLink(folder.resolve("latest"), seven), seven);
  }

  @Test
  void aLinkIsNoneOfAnotherStep() throws IOException {
    Verified.check(snapshot, bytes -> {});
    assertRefused(Files.createSymbolicLink(seven, snapshot), seven);
    assertEquals(1, Verified.check(snapshot, bytes -> {}).step());
  }

  @Test
  void otherNamesSayNothing() throws IOException {
    Path latest = Files.createSymbolicLink(folder.resolve("latest"), snapshot);
    assertEquals(1, Verified.check(latest, bytes -> {}).step());
    Files.delete(latest);
    assertEquals(1, Verified.check(Files.move(snapshot, latest), bytes -> {}).step());
  }
}
