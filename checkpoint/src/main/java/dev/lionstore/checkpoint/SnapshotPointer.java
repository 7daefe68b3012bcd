package dev.lionstore.checkpoint;

import dev.lionstore.mapping.Posix;
import dev.lionstore.safetensors.NewFile;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Optional;

/**
 * The file {@code STORE.snapshot} beside a store's folder: the newest snapshot's path, so that it
 * is found when the store is damaged or gone.
 */
public final class SnapshotPointer {
  private SnapshotPointer() {}

  /** Points to a snapshot, durably; if it cannot, what stood there before stands. */
  public static void write(Path store, Path snapshot) throws IOException {
    Path pointer = pointer(store);
    Path fresh = pointer.resolveSibling("." + pointer.getFileName() + ".new");
    Files.deleteIfExists(fresh); // what a killed process left
    try (NewFile file = NewFile.create(fresh)) {
      file.write(StandardCharsets.UTF_8.encode(snapshot.toAbsolutePath() + "\n"));
      file.finish();
    }
    try {
      Files.move(
          fresh, pointer, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      Files.deleteIfExists(fresh);
      throw e;
    }
    Posix.sync(Optional.ofNullable(pointer.getParent()).orElse(pointer));
  }

  /** The newest snapshot of a store, if one was written and is still there. */
  public static Optional<Path> read(Path store) {
    try {
      String line = Files.readString(pointer(store), StandardCharsets.UTF_8);
      // Only the line's own end goes: a folder's name may end in white space.
      return line.endsWith("\n")
          ? Optional.of(Path.of(line.substring(0, line.length() - 1))).filter(Snapshot::isSnapshot)
          : Optional.empty();
    } catch (IOException | IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  private static Path pointer(Path store) {
    Path absolute = store.toAbsolutePath().normalize();
    return absolute.resolveSibling(absolute.getFileName() + ".snapshot");
  }
}
