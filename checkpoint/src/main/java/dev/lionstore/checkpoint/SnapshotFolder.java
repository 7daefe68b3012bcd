package dev.lionstore.checkpoint;

import dev.lionstore.mapping.UnfinishedFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.OptionalLong;

/** What a folder of snapshots tells of them without their being opened. */
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

  /** Snapshots in a folder that are being written or removed, or were when their process died. */
  public static List<UnfinishedFolder> unfinished(Path folder) throws IOException {
    return UnfinishedFolder.in(folder, name -> SnapshotFiles.step(name).isPresent());
  }
}
