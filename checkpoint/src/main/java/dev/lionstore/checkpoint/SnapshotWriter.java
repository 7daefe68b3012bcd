package dev.lionstore.checkpoint;

import dev.lionstore.TensorSpec;
import dev.lionstore.os.NewFolder;
import dev.lionstore.rule.Plane;
import dev.lionstore.state.StateView;
import dev.lionstore.store.StateStore;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.LongConsumer;

/** Writes snapshots. */
public final class SnapshotWriter {
  private SnapshotWriter() {}

  /**
   * Writes a snapshot, complete or not at all; it is durable when this returns. The state must not
   * change meanwhile.
   *
   * @param directory the folder in which {@code step-%012d} is made
   * @param progress told the bytes written since the last call, one call at a time
   * @return the snapshot's folder
   * @throws java.nio.file.FileAlreadyExistsException if there is one of this step
   * @throws java.nio.file.FileSystemException if it cannot fit on the disk, the folder has
   *     snapshots of other tensors, or lies in a store or snapshot
   */
  public static Path write(
      StateView view,
      CarriedContent carried,
      Path directory,
      SnapshotOptions options,
      LongConsumer progress)
      throws IOException {
    prepare(view, directory);
    try (SnapshotTask task = new SnapshotTask(view, carried, directory, options, progress)) {
      return task.run();
    }
  }

  /** Writes a snapshot with {@link SnapshotOptions#defaults()} but for the shards' limit. */
  public static Path write(
      StateView view,
      CarriedContent carried,
      Path directory,
      long maxShardBytes,
      LongConsumer progress)
      throws IOException {
    SnapshotOptions options = SnapshotOptions.defaults().withMaxShardBytes(maxShardBytes);
    return write(view, carried, directory, options, progress);
  }

  /**
   * Begins a snapshot of a store that goes on stepping. One at a time; the thread that steps calls
   * this between steps. Closing the store before everything is copied ends it without a snapshot.
   *
   * @param progress told the bytes written since the last call, one call at a time, by threads of
   *     the snapshot
   * @throws java.nio.file.FileAlreadyExistsException if there is one of this step
   * @throws java.nio.file.FileSystemException if it cannot fit on the disk, the folder has
   *     snapshots of other tensors, or lies in a store or snapshot
   * @throws IllegalStateException if another snapshot is being taken
   */
  public static SnapshotJob begin(
      StateStore store, Path directory, SnapshotOptions options, LongConsumer progress)
      throws IOException {
    prepare(store, directory);
    store.refresh(); // a device may keep the state
    CarriedContent carried = CarriedContent.ofStore(store);
    SnapshotTask task = null;
    try {
      task = new SnapshotTask(store, carried, directory, options, progress);
      store.beginCopy(task.copy());
      return new SnapshotJob(store, task, carried);
    } catch (IOException | RuntimeException | Error e) {
      try (carried;
          SnapshotTask _ = task) {
        throw e;
      }
    }
  }

  private static void prepare(StateView view, Path directory) throws IOException {
    NestedFolders.requireFolderOutside(directory);
    SnapshotFolder.requireTensors(directory, view.layout());
    removeLeftovers(directory);
  }

  /** A killed process resumes at its last step and may never come to the one it left again. */
  private static void removeLeftovers(Path directory) throws IOException {
    if (Files.isDirectory(directory)) {
      NewFolder.removeLeftovers(directory, name -> SnapshotFiles.step(name).isPresent());
    }
  }

  /** Where the snapshot of a step stands in a folder of snapshots. */
  public static Path path(Path directory, long step) {
    return directory.resolve(SnapshotFiles.folderName(step));
  }

  /** How many bytes {@link #write} will tell of, about. */
  public static long progressBytes(StateView view) {
    long bytes = 0;
    for (TensorSpec tensor : view.layout().tensors()) {
      for (Plane plane : view.layout().planesOf(tensor)) {
        bytes += plane.type().bytes(tensor.count());
      }
    }
    return bytes;
  }
}
