package dev.lionstore.checkpoint;

import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** Where nothing may be made. */
public final class NestedFolders {
  private NestedFolders() {}

  /**
   * Refuses a place inside a store or a snapshot, neither of which is a folder for other things: it
   * would go with it, and a snapshot is never changed.
   *
   * @param target what is to be made; symbolic links on the way to it are followed
   */
  public static void requireOutside(Path target) throws IOException {
    Path absolute = target.toAbsolutePath();
    requireOutside(target, Optional.ofNullable(absolute.getParent()).orElse(absolute));
  }

  /** As {@link #requireOutside}, of a folder in which something is to be made. */
  public static void requireFolderOutside(Path folder) throws IOException {
    requireOutside(folder, folder.toAbsolutePath());
  }

  private static void requireOutside(Path target, Path absolute) throws IOException {
    Path there = Files.exists(absolute) ? absolute : absolute.normalize();
    while (!Files.exists(there) && there.getParent() != null) {
      there = there.getParent();
    }
    for (Path folder = there.toRealPath(); folder != null; folder = folder.getParent()) {
      if (isStore(folder)) {
        throw refusal(target, "store", folder);
      }
      if (Snapshot.isSnapshot(folder)) {
        throw refusal(target, "snapshot", folder);
      }
    }
  }

  /** More than a file called as a store's is: any folder above may have one. */
  private static boolean isStore(Path folder) {
    return StoreReader.isStore(folder) && StoreReader.id(folder).isPresent();
  }

  private static FileSystemException refusal(Path target, String kind, Path folder) {
    return new FileSystemException(
        target.toString(),
        null,
        "would be part of the " + kind + " " + folder + "; choose another place");
  }
}
