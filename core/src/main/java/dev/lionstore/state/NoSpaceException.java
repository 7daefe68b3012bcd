package dev.lionstore.state;

import dev.lionstore.os.Posix;
import java.nio.file.FileSystemException;
import java.nio.file.Path;

/**
 * What was to be made does not fit the file system: a store, or the journal of a change. Nothing
 * has been left there, and nothing has been changed.
 */
public final class NoSpaceException extends FileSystemException {
  private static final long serialVersionUID = 1L;
  private static final String SHARED_MEMORY = "/dev/shm";
  private static final int MEBIBYTE = 1 << 20;

  public NoSpaceException(Path directory, long needed, long usable) {
    this(directory, "a store of ", needed, usable);
  }

  private NoSpaceException(Path directory, String what, long needed, long usable) {
    super(
        directory.toString(),
        null,
        what
            + needed
            + " bytes does not fit, "
            + usable
            + " bytes are free; "
            + remedy(directory, needed - usable));
  }

  /** A change of masters needs a journal as long as it lasts. */
  public static NoSpaceException forChanges(Path directory, long needed, long usable) {
    return new NoSpaceException(
        directory, "no master has been changed: the journal of the change, of ", needed, usable);
  }

  private static String remedy(Path directory, long missing) {
    // A chroot without a mount table does not tell which file system it is.
    boolean isShared = directory.toAbsolutePath().startsWith(SHARED_MEMORY);
    if (!isShared && !Posix.fileSystem(directory).equals("tmpfs")) {
      return "choose another disk";
    }
    long size = Math.ceilDiv(directory.toFile().getTotalSpace() + missing, (long) MEBIBYTE);
    return "Linux gives a tmpfs half of the RAM unless told otherwise, Docker 64 MB (--shm-size):"
        + " enlarge it, mount -o remount,size="
        + size
        + "M "
        + (isShared ? SHARED_MEMORY : "and the folder that it is mounted on")
        + ", or choose a disk";
  }
}
