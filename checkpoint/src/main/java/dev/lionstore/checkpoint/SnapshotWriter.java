package dev.lionstore.checkpoint;

import dev.lionstore.TensorSpec;
import dev.lionstore.mapping.NewFolder;
import dev.lionstore.rule.Plane;
import dev.lionstore.safetensors.DeclaredTensor;
import dev.lionstore.safetensors.NewFile;
import dev.lionstore.safetensors.SafetensorsType;
import dev.lionstore.safetensors.ShardedWriter;
import dev.lionstore.store.StateView;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.LongConsumer;

/** Writes snapshots. */
public final class SnapshotWriter {
  private SnapshotWriter() {}

  /**
   * Writes a snapshot, complete or not at all; it is durable when this returns. The state must not
   * change meanwhile.
   *
   * @param directory the folder in which {@code step-%012d} is made
   * @param maxShardBytes the largest shard's data, in bytes
   * @param progress told the bytes written or checksummed since the last call
   * @return the snapshot's folder
   * @throws java.nio.file.FileAlreadyExistsException if there is one of this step
   * @throws java.nio.file.FileSystemException if it cannot fit on the disk
   */
  public static Path write(
      StateView view, Carried carried, Path directory, long maxShardBytes, LongConsumer progress)
      throws IOException {
    Path target = path(directory, view.step());
    if (Files.isDirectory(directory)) {
      // A killed process resumes at its last step and may never come to this one again.
      NewFolder.removeLeftovers(directory, name -> SnapshotFiles.step(name).isPresent());
    }
    try (NewFolder folder = NewFolder.create(target)) {
      Path path = folder.path();
      long needed = stateBytes(view) + view.position().length + carried.bytes();
      FreeSpace.require("a snapshot", target, path, needed);
      ModelExport.writeModel(
          view, carried, path, ModelExport.Form.WEIGHTS, maxShardBytes, progress);
      writeOptimizer(view, path, maxShardBytes, progress);
      carried.copyFilesInto(path);
      if (view.position().length > 0) {
        writeFile(path.resolve(SnapshotFiles.POSITION), view.position());
      }
      List<Manifest.FileSums> sums = SnapshotFiles.sums(path, progress);
      writeFile(
          path.resolve(Manifest.NAME),
          ManifestFile.encode(Manifest.of(view, SnapshotFiles.CHUNK_BYTES, sums)));
      view.requireUnchanged();
      folder.publish();
    }
    return target;
  }

  /** Where the snapshot of a step stands in a folder of snapshots. */
  public static Path path(Path directory, long step) {
    return directory.resolve(SnapshotFiles.folderName(step));
  }

  /** How many bytes {@link #write} will tell of, about. */
  public static long progressBytes(StateView view) {
    return 2 * stateBytes(view);
  }

  private static long stateBytes(StateView view) {
    long bytes = 0;
    for (TensorSpec tensor : view.layout().tensors()) {
      for (Plane plane : view.layout().planesOf(tensor)) {
        bytes += tensor.count() * plane.type().bytes();
      }
    }
    return bytes;
  }

  private static void writeOptimizer(
      StateView view, Path folder, long maxShardBytes, LongConsumer progress) throws IOException {
    List<DeclaredTensor> declared = new ArrayList<>();
    List<TensorSpec> tensors = view.layout().tensors();
    for (TensorSpec tensor : tensors) {
      for (Plane plane : optimizerPlanes(view, tensor)) {
        SafetensorsType type = SafetensorsType.valueOf(plane.type().name());
        declared.add(new DeclaredTensor(Snapshot.nameIn(tensor, plane), type, tensor.shape()));
      }
    }
    try (ShardedWriter writer =
        ShardedWriter.create(folder, SnapshotFiles.OPTIMIZER, declared, maxShardBytes, Map.of())) {
      for (int t = 0; t < tensors.size(); t++) {
        for (Plane plane : optimizerPlanes(view, tensors.get(t))) {
          String name = Snapshot.nameIn(tensors.get(t), plane);
          Pieces.forEach(view.values(plane, t), progress, (_, piece) -> writer.write(name, piece));
        }
      }
      writer.finish();
    }
  }

  private static List<Plane> optimizerPlanes(StateView view, TensorSpec tensor) {
    return view.layout().planesOf(tensor).stream()
        .filter(plane -> !plane.equals(Plane.WEIGHTS))
        .toList();
  }

  private static void writeFile(Path file, byte[] content) throws IOException {
    try (NewFile fresh = NewFile.create(file)) {
      fresh.write(ByteBuffer.wrap(content));
      fresh.finish();
    }
  }
}
