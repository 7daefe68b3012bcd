package dev.lionstore.checkpoint;

import dev.lionstore.os.Posix;
import dev.lionstore.safetensors.NewFile;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.Optional;

/**
 * A small UTF-8 file that is known by its first line and replaced as a whole; what has its name and
 * another beginning is somebody else's.
 *
 * @param path absolute, normalized
 * @param title the first line, with its line feed
 */
record TitledFile(Path path, String title) {
  private static final int LONGEST_BYTES = 64 << 10;

  /** Whether nothing or a file of this title has the name. */
  boolean isReplaceable() throws IOException {
    return !Files.exists(path, LinkOption.NOFOLLOW_LINKS) || isThere();
  }

  private boolean isThere() throws IOException {
    if (!Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS)) {
      return false;
    }
    byte[] beginning = title.getBytes(StandardCharsets.UTF_8);
    try (InputStream in = Files.newInputStream(path)) {
      return Arrays.equals(beginning, in.readNBytes(beginning.length));
    }
  }

  /** What stands below the title; empty if this is no such file. */
  Optional<String> read() throws IOException {
    return isThere() && Files.size(path) <= LONGEST_BYTES
        ? Optional.of(Files.readString(path, StandardCharsets.UTF_8).substring(title.length()))
        : Optional.empty();
  }

  /** Writes title and text, durably; if it cannot, what stood there before stands. */
  void replace(String text) throws IOException {
    Path fresh = path.resolveSibling("." + path.getFileName() + ".new");
    Files.deleteIfExists(fresh); // what a killed process left
    try (NewFile file = NewFile.create(fresh)) {
      file.write(StandardCharsets.UTF_8.encode(title + text));
      file.finish();
    }
    try {
      Files.move(fresh, path, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      Files.deleteIfExists(fresh);
      throw e;
    }
    Posix.sync(Optional.ofNullable(path.getParent()).orElse(path));
  }

  /** Deletes it, if it is there. */
  void delete() throws IOException {
    if (isThere()) {
      Files.delete(path);
    }
  }
}
