package dev.lionstore.fuzz;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Where a target's files lie: they go when the process ends. */
public final class Scratch {
  private Scratch() {}

  /** A new folder among the temporary files. */
  public static Path folder() {
    try {
      Path folder = Files.createTempDirectory("fuzz-");
      folder.toFile().deleteOnExit();
      return folder;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A place for a file in such a folder. */
  public static Path file(Path folder, String name) {
    Path file = folder.resolve(name);
    file.toFile().deleteOnExit();
    return file;
  }
}
