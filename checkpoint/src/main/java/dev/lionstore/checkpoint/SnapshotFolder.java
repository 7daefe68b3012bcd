package dev.lionstore.checkpoint;

import dev.lionstore.os.UnfinishedFolder;
import dev.lionstore.state.StoreLayout;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/** What a folder of snapshots tells of them without their being read. */
public final class SnapshotFolder {
  private SnapshotFolder() {}

  /** The step in the name of a snapshot's folder; empty if it is not called like one. */
  public static OptionalLong step(Path snapshot) {
    return SnapshotFiles.step(snapshot);
  }

  /** When a snapshot was taken: its manifest, the last of its files, is never written again. */
  public static Instant taken(Path snapshot) throws IOException {
    return Files.getLastModifiedTime(snapshot.resolve(Manifest.NAME)).toInstant();
  }

  /**
   * Keeps a state out of a folder whose newest snapshot has other tensors: whoever takes the newest
   * there would take the one for the other. What cannot be read there says nothing.
   *
   * @throws FileSystemException saying which tensors differ
   */
  public static void requireTensors(Path folder, StoreLayout layout) throws IOException {
    TensorSet own = TensorSet.of(layout);
    for (Path snapshot : Snapshot.list(folder).reversed()) {
      Optional<TensorSet> there = tensors(snapshot);
      if (there.isPresent()) {
        if (!there.get().equals(own)) {
          throw new FileSystemException(
              folder.toString(),
              null,
              "holds snapshots of other tensors: "
                  + snapshot.getFileName()
                  + " "
                  + own.differencesOf(there.get())
                  + "; choose another folder");
        }
        return;
      }
    }
  }

  /**
   * Refuses to look for the newest among snapshots that are not of the same tensors.
   *
   * @param advice what the user can do then, as the end of a sentence
   * @throws FileSystemException saying which tensors differ
   */
  public static void requireSameTensors(Path folder, String advice) throws IOException {
    List<Path> all = Snapshot.list(folder).reversed();
    Optional<Path> newest = Optional.empty();
    TensorSet expected = new TensorSet(Map.of());
    for (Path snapshot : all) {
      Optional<TensorSet> there = tensors(snapshot);
      if (there.isPresent() && newest.isEmpty()) {
        newest = Optional.of(snapshot);
        expected = there.get();
      } else if (there.isPresent() && !there.get().equals(expected)) {
        throw new FileSystemException(
            folder.toString(),
            null,
            "holds snapshots of different tensors: compared with "
                + newest.map(Path::getFileName).orElseThrow()
                + ", "
                + snapshot.getFileName()
                + " "
                + expected.differencesOf(there.get())
                + "; "
                + advice);
      }
    }
  }

  private static Optional<TensorSet> tensors(Path snapshot) {
    try {
      return Optional.of(TensorSet.of(ManifestFile.read(snapshot).layout(snapshot)));
    } catch (IOException e) {
      return Optional.empty(); // whoever opens it says so
    }
  }

  /** Snapshots in a folder that are being written or removed, or were when their process died. */
  public static List<UnfinishedFolder> unfinished(Path folder) throws IOException {
    return UnfinishedFolder.in(folder, name -> SnapshotFiles.step(name).isPresent());
  }
}
