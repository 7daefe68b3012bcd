package dev.lionstore.store;

import dev.lionstore.mapping.Posix;
import java.nio.file.FileSystemException;
import java.nio.file.Path;

/** A store does not fit the file system it was to be created on; nothing has been left there. */
public final class NoSpaceException extends FileSystemException {
  private static final long serialVersionUID = 1L;
  private static final String SHARED_MEMORY = "/dev/shm";
  private static final int MEBIBYTE = 1 << 20;

  NoSpaceException(Path directory, long needed, long usable) {
    super(
        directory.toString(),
        null,
        "a store of "
            + needed
            + " bytes does not fit, "
            + usable
            + " bytes are free; "
            + remedy(directory, needed - usable));
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
