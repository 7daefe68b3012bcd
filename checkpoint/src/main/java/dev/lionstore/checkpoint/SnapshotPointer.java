package dev.lionstore.checkpoint;

import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
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

  private SnapshotPointer() {}

  /**
   * Points to a snapshot, durably; if it cannot, what stood there before stands.
   *
   * @throws FileSystemException naming the pointer, if something else has its name, or the disk
   *     fails
   */
  public static void write(Path store, Path snapshot) throws IOException {
    TitledFile pointer = pointer(store);
    try {
      if (!pointer.isReplaceable()) {
        throw refusal(
            pointer.path(),
            "is not a pointer to a snapshot, and is left alone; move it to another name");
      }
      UUID id =
          StoreReader.id(store)
              .orElseThrow(
                  () -> refusal(pointer.path(), "cannot say whose it is: the store has no id"));
      pointer.replace(STORE + id + "\n" + snapshot.toAbsolutePath() + "\n");
    } catch (IOException e) {
      throw named(pointer.path(), e);
    }
  }

  /** The user knows the pointer, not the hidden file that becomes it. */
  private static FileSystemException named(Path pointer, IOException failure) {
    FileSystemException named = refusal(pointer, Text.reason(failure));
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
    try {
      String text = pointer(store).read().orElse("");
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

  private static TitledFile pointer(Path store) {
    Path absolute = store.toAbsolutePath().normalize();
    return new TitledFile(absolute.resolveSibling(absolute.getFileName() + ".snapshot"), TITLE);
  }
}
