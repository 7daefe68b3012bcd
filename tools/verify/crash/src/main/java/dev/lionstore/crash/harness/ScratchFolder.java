package dev.lionstore.crash.harness;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.stream.Stream;

/** A folder for stores that are killed, in memory if there is room: a sync costs nothing there. */
public final class ScratchFolder implements AutoCloseable {
  private static final Path MEMORY = Path.of("/dev/shm");

  private final Path folder;

  /** Makes it in memory, or where temporary files are. */
  public ScratchFolder() throws IOException {
    this(Files.isWritable(MEMORY) ? MEMORY : Path.of(System.getProperty("java.io.tmpdir")));
  }

  /** Makes it on the disk that the program runs from. */
  public static ScratchFolder onDisk() throws IOException {
    return new ScratchFolder(Files.createDirectories(Path.of("target")));
  }

  /** Makes it in a folder. */
  public ScratchFolder(Path parent) throws IOException {
    this.folder = Files.createTempDirectory(parent, "lionstore-crash-");
  }

  /** Where it is. */
  public Path folder() {
    return folder;
  }

  /** Copies a store's files into a new folder. */
  public static Path copy(Path from, Path to) throws IOException {
    if (Files.exists(to)) {
      delete(to);
    }
    Files.createDirectory(to);
    try (Stream<Path> files = Files.list(from)) {
      for (Path file : files.toList()) {
        Files.copy(file, to.resolve(file.getFileName()));
      }
    }
    return to;
  }

  /** Deletes a folder and all that is in it. */
  public static void delete(Path directory) throws IOException {
    try (Stream<Path> tree = Files.walk(directory)) {
      for (Path path : tree.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }

  @Override
  public void close() throws IOException {
    delete(folder);
  }
}
