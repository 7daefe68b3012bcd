package dev.lionstore.trainer;

import dev.lionstore.FormatException;
import dev.lionstore.checkpoint.SnapshotPointer;
import dev.lionstore.os.Posix;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Optional;

/**
 * Where a run keeps what it makes.
 *
 * @param root the run's folder
 * @param store the state
 * @param snapshots the folder of snapshots
 */
public record RunFolder(Path root, Path store, Path snapshots) {
  /** The text that the run learns from: a copy, so that files may change under a long run. */
  public Path text() {
    return root.resolve("text.bin");
  }

  /** The losses. */
  public Path losses() {
    return root.resolve("loss.csv");
  }

  /** The losses as a picture. */
  public Path chart() {
    return root.resolve("loss.png");
  }

  /**
   * The text that the run began with, if it has begun.
   *
   * @throws FormatException if it is empty: no run begins with that
   */
  public Optional<byte[]> readText() throws IOException {
    if (!Files.exists(text())) {
      return Optional.empty();
    }
    byte[] text = Files.readAllBytes(text());
    if (text.length == 0) {
      throw new FormatException(
          text(),
          "is empty, so it is damaged; remove it and name the text that the run began with, or"
              + " choose another --run");
    }
    return Optional.of(text);
  }

  /**
   * Notes a snapshot beside the store as the newest one. A run goes on without: the snapshot is
   * good all the same.
   *
   * @return what is wrong if it cannot be noted
   */
  Optional<String> note(Path snapshot) {
    try {
      SnapshotPointer.write(store, snapshot);
      return Optional.empty();
    } catch (IOException e) {
      return Optional.of(
          e.getMessage() + " (the snapshot is good, but not noted beside the store)");
    }
  }

  /** Keeps the text, whole or not at all. */
  public void writeText(byte[] text) throws IOException {
    Files.createDirectories(root);
    keep(text(), text);
  }

  /** Writes a file of a folder that is there, whole and durably or not at all. */
  public static void keep(Path file, byte[] bytes) throws IOException {
    Path fresh = file.resolveSibling(file.getFileName() + ".new");
    Files.write(fresh, bytes);
    Posix.sync(fresh);
    Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    Path folder = file.toAbsolutePath().getParent();
    if (folder != null) {
      Posix.sync(folder);
    }
  }
}
