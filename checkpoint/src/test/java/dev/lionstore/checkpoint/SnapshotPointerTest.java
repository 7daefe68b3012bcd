package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.lionstore.store.StoreBuilder;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SnapshotPointerTest {
  @TempDir Path folder;
  private Path store;
  private Path snapshot;
  private Path pointer;

  @BeforeEach
  void makeStore() throws IOException {
    store = Models.steppedStore(folder, 1);
    snapshot = Models.snapshot(store, folder.resolve("snap\nshots "), 4000);
    pointer = store.resolveSibling(store.getFileName() + ".snapshot");
  }

  @Test
  void saysWhatItIsWhoseItIsAndWhereTheSnapshotIs() throws IOException {
    SnapshotPointer.write(store, snapshot);
    assertEquals(
        "lionstore snapshot pointer 1\nstore "
            + StoreReader.id(store).orElseThrow()
            + "\n"
            + snapshot
            + "\n",
        Files.readString(pointer));
    assertEquals(Optional.of(snapshot), SnapshotPointer.read(store));
    SnapshotPointer.write(store, snapshot);
    assertEquals(Optional.of(snapshot), SnapshotPointer.read(store));
  }

  @Test
  void isFoundWhenTheLayoutOrTheStoreIsGone() throws IOException {
    SnapshotPointer.write(store, snapshot);
    Files.delete(store.resolve("layout"));
    assertEquals(Optional.of(snapshot), SnapshotPointer.read(store));
    Files.move(store, folder.resolve("gone"));
    assertEquals(Optional.of(snapshot), SnapshotPointer.read(store));
  }

  @Test
  void ofAStoreThatStoodHereBeforeIsNone() throws IOException {
    SnapshotPointer.write(store, snapshot);
    Files.move(store, folder.resolve("gone"));
    try (Snapshot open = Snapshot.open(snapshot)) {
      open.restore(store, StoreBuilder.DEFAULT_CHUNK_ELEMENTS, _ -> {});
    }
    assertEquals(Optional.empty(), SnapshotPointer.read(store));
    SnapshotPointer.write(store, snapshot);
    assertEquals(Optional.of(snapshot), SnapshotPointer.read(store));
  }

  @Test
  void replacesNothingThatIsNoPointer() throws IOException {
    List<String> others = List.of("", "mine\n", snapshot + "\n", "lionstore snapshot pointer");
    for (String other : others) {
      Files.writeString(pointer, other);
      assertLeftAlone();
      assertEquals(other, Files.readString(pointer));
    }
    Files.delete(pointer);
    Path target = Files.writeString(folder.resolve("target"), "lionstore snapshot pointer 1\n");
    Files.createSymbolicLink(pointer, target);
    assertLeftAlone();
    Files.delete(pointer);
    Files.createDirectory(pointer);
    assertLeftAlone();
  }

  private void assertLeftAlone() throws IOException {
    List<String> names = Models.names(folder);
    FileSystemException e =
        assertThrows(FileSystemException.class, () -> SnapshotPointer.write(store, snapshot));
    assertEquals(
        pointer + ": is not a pointer to a snapshot, and is left alone; move it to another name",
        e.getMessage());
    assertEquals(Optional.empty(), SnapshotPointer.read(store));
    assertEquals(names, Models.names(folder));
  }

  @Test
  void thatIsCutShortIsNone() throws IOException {
    SnapshotPointer.write(store, snapshot);
    String whole = Files.readString(pointer);
    for (int length = 0; length < whole.length(); length++) {
      Files.writeString(pointer, whole.substring(0, length));
      assertEquals(Optional.empty(), SnapshotPointer.read(store), "of " + length + " characters");
    }
  }
}
