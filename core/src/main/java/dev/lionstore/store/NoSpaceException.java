package dev.lionstore.store;

import java.nio.file.FileSystemException;
import java.nio.file.Path;

/** A store does not fit the file system it was to be created on; nothing has been left there. */
public final class NoSpaceException extends FileSystemException {
  private static final long serialVersionUID = 1L;

  NoSpaceException(Path directory, long needed, long usable) {
    super(
        directory.toString(),
        null,
        "a store of "
            + needed
            + " bytes does not fit, "
            + usable
            + " bytes are free; choose another disk"
            + (directory.toAbsolutePath().startsWith("/dev/shm")
                ? " or enlarge it: mount -o remount,size=SIZE /dev/shm"
                : ""));
  }
}
