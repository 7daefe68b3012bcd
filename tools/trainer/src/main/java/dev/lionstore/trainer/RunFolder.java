package dev.lionstore.trainer;

import dev.lionstore.mapping.Posix;
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

  /** The text that the run began with, if it has begun. */
  public Optional<byte[]> readText() throws IOException {
    return Files.exists(text()) ? Optional.of(Files.readAllBytes(text())) : Optional.empty();
  }

  /** Keeps the text, whole or not at all. */
  public void writeText(byte[] text) throws IOException {
    Files.createDirectories(root);
    Path fresh = root.resolve("text.bin.new");
    Files.write(fresh, text);
    Posix.sync(fresh);
    Files.move(fresh, text(), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    Posix.sync(root);
  }
}
