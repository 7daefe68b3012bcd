package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.lionstore.store.StateStore;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** Where the library makes nothing, whether a command has looked before it or not. */
class RefusedTargetTest {
  @TempDir private Path folder;
  private Path store = Path.of("");
  private Path snapshot = Path.of("");

  @BeforeEach
  void takeOne() throws IOException {
    store = Models.steppedStore(folder, 1).toRealPath();
    snapshot = Models.snapshot(store, folder.resolve("snapshots"), 1L << 40).toRealPath();
  }

  private static void assertRefused(String message, Executable maker) {
    FileSystemException e = assertThrows(FileSystemException.class, maker);
    assertEquals(message, e.getMessage());
  }

  private void assertRefusedInside(Path outer, String kind) throws IOException {
    List<String> inside = Models.names(outer);
    Path target = outer.resolve("in");
    Path model = folder.resolve("model");
    String message =
        target + ": would be part of the " + kind + " " + outer + "; choose another place";
    assertRefused(message, () -> ModelImport.run(model, target, Models.options(), bytes -> {}));
    assertRefused(message, () -> Models.export(store, target, ModelExport.Form.WEIGHTS, 1L << 40));
    assertRefused(message, () -> Models.snapshot(store, target, 1L << 40));
    assertRefused(message, () -> begin(store, target));
    try (Snapshot open = Snapshot.open(snapshot)) {
      assertRefused(message, () -> open.restore(target, 256, bytes -> {}));
    }
    assertEquals(inside, Models.names(outer));
  }

  private static void begin(Path store, Path directory) throws IOException {
    try (StateStore open = StateStore.open(store)) {
      SnapshotWriter.begin(open, directory, SnapshotOptions.defaults(), bytes -> {});
    }
  }

  @Test
  void nothingIsMadeInsideAStoreOrASnapshot() throws IOException {
    assertRefusedInside(store, "store");
    assertRefusedInside(snapshot, "snapshot");
  }

  @Test
  void noSnapshotIsMadeAmongThoseOfOtherTensors() throws IOException {
    Path model = Models.folder(folder, "other", List.of(Models.floats("w", "F32", List.of(7L), 1)));
    Path other = folder.resolve("other store");
    ModelImport.run(model, other, Models.options(), bytes -> {});
    Path others = folder.resolve("others");
    Models.snapshot(other, others, 1L << 40);
    List<String> inside = Models.names(others);
    for (Executable maker :
        List.<Executable>of(
            () -> Models.snapshot(store, others, 1L << 40), () -> begin(store, others))) {
      FileSystemException e = assertThrows(FileSystemException.class, maker);
      assertEquals(
          others + ": holds snapshots of other tensors: step-000000000000 lacks ",
          String.valueOf(e.getMessage()).replaceAll("lacks .*", "lacks "));
    }
    assertEquals(inside, Models.names(others));
  }
}
