package dev.lionstore.checkpoint;

import java.nio.file.FileSystemException;
import java.nio.file.Path;

/** Asks for room before anything is written, rather than filling a disk for nothing. */
final class FreeSpace {
  private FreeSpace() {}

  /**
   * Refuses to begin what cannot fit. What fits may still meet a full disk: others write too, and
   * files take whole blocks.
   *
   * @param what is to be written, for the message
   * @param target where it will be, for the message
   * @param folder where it is written, which exists
   * @param needed the bytes of its files
   * @throws FileSystemException if fewer are free
   */
  static void require(String what, Path target, Path folder, long needed)
      throws FileSystemException {
    // Not by its FileStore: that one is looked up in the mount table, which a chroot lacks.
    long usable = folder.toFile().getUsableSpace();
    if (usable < needed) {
      throw new FileSystemException(
          target.toString(),
          null,
          what
              + " of "
              + needed
              + " bytes does not fit, "
              + usable
              + " bytes are free; free some or choose another disk");
    }
  }
}
