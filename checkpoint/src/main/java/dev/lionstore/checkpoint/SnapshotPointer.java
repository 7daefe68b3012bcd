package dev.lionstore.checkpoint;

import dev.lionstore.mapping.Posix;
import dev.lionstore.safetensors.NewFile;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.Objects;
import java.util.Optional;
import java.util.UUID;

/**
 * The file {@code STORE.snapshot} beside a store's folder: the newest snapshot's path, so that it
 * is found when the store is damaged or gone. UTF-8:
 *
 * <pre>
 *  lionstore snapshot pointer 1
 *  store ID            the store's id, as a UUID
 *  PATH                absolute, up to the last line feed: a name may have line feeds of its own
 * </pre>
 */
public final class SnapshotPointer {
  private static final String TITLE = "lionstore snapshot pointer 1\n";
  private static final String STORE = "store ";
  private static final int ID_CHARS = 36;
  private static final int LONGEST_BYTES = 64 << 10;

  private SnapshotPointer() {}

  /**
   * Points to a snapshot, durably; if it cannot, what stood there before stands.
   *
   * @throws FileSystemException naming the pointer, if something else has its name, or the disk
   *     fails
   */
  public static void write(Path store, Path snapshot) throws IOException {
    Path pointer = pointer(store);
    try {
      requireReplaceable(pointer);
      UUID id =
          StoreReader.id(store)
              .orElseThrow(() -> refusal(pointer, "cannot say whose it is: the store has no id"));
      replace(pointer, TITLE + STORE + id + "\n" + snapshot.toAbsolutePath() + "\n");
    } catch (IOException e) {
      throw named(pointer, e);
    }
  }

  private static void requireReplaceable(Path pointer) throws IOException {
    if (Files.exists(pointer, LinkOption.NOFOLLOW_LINKS) && !isPointer(pointer)) {
      throw refusal(
          pointer, "is not a pointer to a snapshot, and is left alone; move it to another name");
    }
  }

  private static boolean isPointer(Path file) throws IOException {
    if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
      return false;
    }
    byte[] title = TITLE.getBytes(StandardCharsets.UTF_8);
    try (InputStream in = Files.newInputStream(file)) {
      return Arrays.equals(title, in.readNBytes(title.length));
    }
  }

  private static void replace(Path pointer, String text) throws IOException {
    Path fresh = pointer.resolveSibling("." + pointer.getFileName() + ".new");
    Files.deleteIfExists(fresh); // what a killed process left
    try (NewFile file = NewFile.create(fresh)) {
      file.write(StandardCharsets.UTF_8.encode(text));
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

  /** The user knows the pointer, not the hidden file that becomes it. */
  private static FileSystemException named(Path pointer, IOException failure) {
    String reason =
        switch (failure) {
          case AccessDeniedException _ -> "permission denied";
          case FileSystemException file when file.getReason() != null -> file.getReason();
          default -> String.valueOf(failure.getMessage());
        };
    FileSystemException named = refusal(pointer, Objects.requireNonNull(reason));
    named.initCause(failure);
    return named;
  }

  private static FileSystemException refusal(Path pointer, String reason) {
    return new FileSystemException(pointer.toString(), null, reason);
  }

  /**
   * The newest snapshot of a store, if one was written and is still there. A pointer of another
   * store is none; a store whose layout cannot be read contradicts no pointer.
   */
  public static Optional<Path> read(Path store) {
    Path pointer = pointer(store);
    try {
      if (!isPointer(pointer) || Files.size(pointer) > LONGEST_BYTES) {
        return Optional.empty();
      }
      String text = Files.readString(pointer, StandardCharsets.UTF_8).substring(TITLE.length());
      int path = STORE.length() + ID_CHARS + 1;
      if (!text.startsWith(STORE) || text.length() <= path || !text.endsWith("\n")) {
        return Optional.empty();
      }
      UUID id = UUID.fromString(text.substring(STORE.length(), path - 1));
      if (!StoreReader.id(store).orElse(id).equals(id)) {
        return Optional.empty();
      }
      // Only the last line feed goes: a folder's name may end in white space.
      return Optional.of(Path.of(text.substring(path, text.length() - 1)))
          .filter(Snapshot::isSnapshot);
    } catch (IOException | IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  private static Path pointer(Path store) {
    Path absolute = store.toAbsolutePath().normalize();
    return absolute.resolveSibling(absolute.getFileName() + ".snapshot");
  }
}
