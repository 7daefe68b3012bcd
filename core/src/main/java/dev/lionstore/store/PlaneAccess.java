package dev.lionstore.store;

import com.sun.management.OperatingSystemMXBean;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.os.Posix;
import dev.lionstore.store.file.StoreFiles;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Set;

/** How the CPU's kernels reach the planes; all ways compute the same bits. */
public enum PlaneAccess {
  /** In place, unless the planes take more than half of the memory and lie on a disk. */
  AUTO,
  /** In place, in the mapped files: the fastest way for what memory can hold. */
  MAPPED,
  /**
   * By direct I/O through buffers: as fast as the disk for what memory cannot hold, and nothing
   * else is evicted. A step saves chunks whole, in the store's file {@code undo}.
   */
  DIRECT;

  /** Below this nobody asks how large the memory is. */
  private static final long SMALL_BYTES = 1L << 30;

  private static final Set<String> MEMORY_FILE_SYSTEMS = Set.of("tmpfs", "ramfs", "hugetlbfs");

  /**
   * Opens the planes in this way.
   *
   * @return what it is, in a few words for the user; empty for the ordinary way
   * @throws IllegalArgumentException if it was asked for and cannot be had
   */
  String open(StoreFiles files, Kernel kernel) throws IOException {
    boolean cpu = kernel.unit() == Kernel.Unit.SLICE && kernel.resident().isEmpty();
    switch (this) {
      case MAPPED -> {}
      case DIRECT -> {
        if (!cpu) {
          throw new IllegalArgumentException(
              "direct access to the planes is for the CPU's kernels; the backend of "
                  + files.directory()
                  + " is "
                  + kernel.backend()
                  + ": choose backend vector, or mapped access");
        }
        if (!files.openDirect()) {
          throw new IllegalArgumentException(
              "the disk of "
                  + files.directory()
                  + " has no direct I/O ("
                  + Posix.fileSystem(files.directory())
                  + "); use mapped access");
        }
      }
      case AUTO -> {
        if (cpu && isPastTheCache(files.directory(), files.planeBytes())) {
          files.openDirect();
        }
      }
    }
    return files.direct().isPresent()
        ? String.format(
            Locale.ROOT,
            "past the page cache: planes of %.1f GB, memory of %.1f GB",
            files.planeBytes() / 1e9,
            memoryBytes() / 1e9)
        : "";
  }

  /**
   * Whether it goes past the page cache, unless the disk turns out to have no direct I/O.
   *
   * @param directory of the store
   * @param planeBytes what its planes' files take
   */
  boolean isPastTheCache(Path directory, long planeBytes) {
    return switch (this) {
      case MAPPED -> false;
      case DIRECT -> true;
      case AUTO ->
          planeBytes > SMALL_BYTES && isLarge(planeBytes, memoryBytes()) && onDisk(directory);
    };
  }

  /**
   * Whether {@link #AUTO} steps planes of a store on a disk past the page cache.
   *
   * @param planeBytes what the planes' files take, in bytes
   * @param memoryBytes of the machine, or of the container
   */
  public static boolean isLarge(long planeBytes, long memoryBytes) {
    return planeBytes > SMALL_BYTES && planeBytes > memoryBytes / 2;
  }

  private static boolean onDisk(Path directory) {
    return !MEMORY_FILE_SYSTEMS.contains(Posix.fileSystem(directory));
  }

  /** Of the machine, or of the container. */
  private static long memoryBytes() {
    return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
        .getTotalMemorySize();
  }
}
