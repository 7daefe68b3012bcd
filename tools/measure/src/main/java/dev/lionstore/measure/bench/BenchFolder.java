package dev.lionstore.measure.bench;

import dev.lionstore.measure.timing.Proc;
import dev.lionstore.os.NewFolder;
import dev.lionstore.os.Posix;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;

/**
 * A folder for planes and stores, which goes when it is closed, and when the process is told to
 * end: on a tmpfs its files are memory.
 */
final class BenchFolder implements AutoCloseable {
  private static final Path MEMORY = Path.of("/dev/shm");

  /** Planes for the roof and the kernel, and a store. */
  private static final int BYTES_PER_PARAMETER = 16;

  /** A store's other files, and what the JVM needs. */
  private static final long MORE_BYTES = 256L << 20;

  private final NewFolder folder;
  private final Thread cleaner;

  private BenchFolder(NewFolder folder) {
    this.folder = folder;
    this.cleaner = new Thread(this::delete);
  }

  /** Where there is room: the folder that was asked for, else memory, else temporary files. */
  static Path parent(BenchSettings settings, long deviceBytes) throws IOException {
    Optional<Path> asked = settings.directory();
    if (asked.isPresent()) {
      requireRoom(asked.get(), settings, deviceBytes);
      return asked.get();
    }
    Path temporary = Path.of(System.getProperty("java.io.tmpdir"));
    if (!Files.isWritable(MEMORY)) {
      requireRoom(temporary, settings, deviceBytes);
      return temporary;
    }
    try {
      requireRoom(MEMORY, settings, deviceBytes);
      return MEMORY;
    } catch (FileSystemException e) {
      try {
        requireRoom(temporary, settings, deviceBytes);
        return temporary;
      } catch (FileSystemException _) {
        throw e;
      }
    }
  }

  private static void requireRoom(Path parent, BenchSettings settings, long deviceBytes)
      throws IOException {
    if (!Files.isDirectory(parent)) {
      throw new NotDirectoryException(parent.toString());
    }
    long files = settings.parameters() * BYTES_PER_PARAMETER + MORE_BYTES;
    long usable = parent.toFile().getUsableSpace();
    if (usable < files) {
      throw tooLarge(parent, settings, "free space", usable, files);
    }
    boolean inMemory = Posix.fileSystem(parent).equals("tmpfs");
    long memory = (inMemory ? files : MORE_BYTES) + deviceBytes;
    long available = Proc.availableMemory();
    if (available > 0 && available < memory) {
      throw tooLarge(parent, settings, "free memory", available, memory);
    }
  }

  private static FileSystemException tooLarge(
      Path parent, BenchSettings settings, String what, long found, long needed) {
    return new FileSystemException(
        parent.toString(),
        null,
        String.format(
            Locale.ROOT,
            "%s: %.2f GB, a bench of %,d parameters needs %.2f GB; choose a smaller --size or"
                + " another --directory",
            what,
            found / 1e9,
            settings.parameters(),
            needed / 1e9));
  }

  /** Also removes what one that was killed has left in the same place. */
  static BenchFolder in(Path parent) throws IOException {
    BenchFolder folder = new BenchFolder(NewFolder.create(parent.resolve("lionstore-bench")));
    Runtime.getRuntime().addShutdownHook(folder.cleaner);
    return folder;
  }

  Path path() {
    return folder.path();
  }

  private void delete() {
    try {
      folder.close();
    } catch (IOException e) {
      // The process ends because it was told to; what is left has a name that says what it is.
    }
  }

  @Override
  public void close() throws IOException {
    try {
      Runtime.getRuntime().removeShutdownHook(cleaner);
    } catch (IllegalStateException e) {
      return; // the process is ending: the cleaner does it
    }
    folder.close();
  }
}
