package dev.lionstore.os;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Optional;

/**
 * The way out for what {@link NewFolder} has made: under its name a folder is there with all its
 * files or not at all. It is renamed to {@code .NAME.removed-PID-NUMBER}, that is made durable, and
 * only then are files deleted. What a killed process leaves of it, the next {@link NewFolder} of
 * that name or {@link NewFolder#removeLeftovers} removes.
 */
public final class OldFolder {
  private OldFolder() {}

  /**
   * Removes a folder and everything in it, durably. Whoever has files of it open or mapped keeps
   * them.
   *
   * @throws NotDirectoryException if it is no folder; a symbolic link is none
   * @throws AccessDeniedException if its files could not be deleted: it is left as it is
   */
  public static void remove(Path folder) throws IOException {
    if (!Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)) {
      throw new NotDirectoryException(folder.toString());
    }
    // Renaming needs no permission on the folder itself, deleting in it does.
    if (!Files.isWritable(folder)) {
      throw new AccessDeniedException(folder.toString());
    }
    Path hidden = UnfinishedFolder.newPath(folder.toAbsolutePath(), UnfinishedFolder.Work.REMOVING);
    // Held before the name changes: it is never taken for what a dead process left.
    Optional<FolderLock> lock = FolderLock.tryTake(folder);
    try {
      Files.move(folder, hidden, StandardCopyOption.ATOMIC_MOVE);
      // Else a power loss could bring the name back, with some of the files.
      Posix.sync(Optional.ofNullable(hidden.getParent()).orElse(hidden));
      UnfinishedFolder.deleteTree(hidden);
    } finally {
      lock.ifPresent(FolderLock::close);
    }
  }
}
