package dev.lionstore.os;

import dev.lionstore.FormatException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Optional;
import net.openhft.chronicle.bytes.MappedBytes;
import net.openhft.chronicle.core.io.BackgroundResourceReleaser;
import net.openhft.chronicle.core.io.ReferenceOwner;

/**
 * A file mapped in one piece, whatever its size. Writable ones are mapped by Chronicle Bytes; those
 * that are only read by the JDK, which starts faster. Its memory is valid until it is closed; using
 * it later throws.
 */
public final class MappedFile implements AutoCloseable {
  /** What sizes are multiples of, in bytes: Chronicle Bytes would extend other files. */
  public static final int PAGE_BYTES = 4096;

  /** Whether Chronicle Bytes has been used: readers do without, and load none of it. */
  private static volatile boolean writableMapped;

  private final Path path;

  /**
   * Not a {@link FileChannel}: an interrupt of the thread that asks one for its size would close
   * it, and the store could never be made durable again.
   */
  private final RandomAccessFile file;

  private final Arena arena;
  private final MemorySegment memory;
  private final Object identity;

  private MappedFile(Path path, RandomAccessFile file, Arena arena, MemorySegment memory)
      throws IOException {
    this.path = path;
    this.file = file;
    this.arena = arena;
    this.memory = memory;
    this.identity = identity(path);
  }

  /** Device and inode, where there are such. */
  private static Object identity(Path path) throws IOException {
    BasicFileAttributes attributes = Files.readAttributes(path, BasicFileAttributes.class);
    return Optional.ofNullable(attributes.fileKey()).orElse(path);
  }

  /**
   * Maps a file for reading and writing.
   *
   * @param size what the file must have, in bytes
   * @throws FormatException if it has another size
   * @throws LinkageError if the JVM lacks a flag, which it names
   */
  @SuppressWarnings("restricted") // the mapping's address and size are Chronicle's own
  public static MappedFile openWritable(Path path, long size) throws IOException {
    JvmFlags.require();
    return open(
        path,
        "rw",
        size,
        (file, arena) -> {
          writableMapped = true;
          MappedBytes bytes = MappedBytes.singleMappedBytes(path.toFile(), size);
          return MemorySegment.ofAddress(bytes.addressForWrite(0))
              .reinterpret(size, arena, _ -> release(bytes));
        });
  }

  /**
   * Maps a file for reading; the memory is read-only.
   *
   * @param size what the file must have, in bytes
   * @throws FormatException if it has another size
   */
  @SuppressWarnings("MustBeClosedChecker") // the channel is the file's own
  public static MappedFile openReadOnly(Path path, long size) throws IOException {
    return open(
        path,
        "r",
        size,
        (file, arena) -> file.getChannel().map(FileChannel.MapMode.READ_ONLY, 0, size, arena));
  }

  /** Chronicle Bytes 2026.4 keeps a reference to a single mapping that nobody else gives up. */
  private static void release(MappedBytes bytes) {
    bytes.bytesStore().release(ReferenceOwner.INIT);
    bytes.releaseLast();
  }

  /**
   * Returns when what has been closed is unmapped: Chronicle Bytes does that on a thread of its
   * own. Takes a millisecond.
   */
  public static void awaitUnmapping() {
    if (writableMapped) {
      BackgroundResourceReleaser.releasePendingResources();
    }
  }

  /** How a file is mapped. */
  private interface Mapper {
    MemorySegment map(RandomAccessFile file, Arena arena) throws IOException;
  }

  @SuppressWarnings("MustBeClosedChecker") // closed by close()
  private static MappedFile open(Path path, String mode, long size, Mapper mapper)
      throws IOException {
    if (!Files.isRegularFile(path)) {
      throw new FormatException(path, "is missing, or not a regular file");
    }
    RandomAccessFile file = new RandomAccessFile(path.toFile(), mode);
    Arena arena = Arena.ofShared();
    try {
      requireSize(path, file, size);
      return new MappedFile(path, file, arena, mapper.map(file, arena));
    } catch (IOException | RuntimeException | Error e) {
      arena.close();
      file.close();
      throw e;
    }
  }

  /** A size rounded up to whole pages, in bytes. */
  public static long wholePages(long bytes) {
    return Math.ceilDiv(bytes, (long) PAGE_BYTES) * PAGE_BYTES;
  }

  /** Which file this is. */
  public Path path() {
    return path;
  }

  /** All of its bytes. */
  public MemorySegment memory() {
    return memory;
  }

  /** Checks that nobody has truncated or extended it: touching missing pages would kill the JVM. */
  public void requireUnchangedSize() throws IOException {
    requireSize(path, file, memory.byteSize());
  }

  /**
   * Checks that the path still names what is mapped.
   *
   * @throws FormatException if somebody has deleted, moved or replaced it
   */
  public void requireStillThere() throws IOException {
    if (!isStillThere()) {
      throw new FormatException(
          path,
          "was deleted, moved or replaced while it was open; what was written is where it was moved,"
              + " or lost: move it back, or restore a snapshot");
    }
  }

  private boolean isStillThere() throws IOException {
    try {
      return identity(path).equals(identity);
    } catch (NoSuchFileException e) {
      return false;
    }
  }

  /** Makes everything written so far durable. A failure is final: never try again. */
  public void force() throws IOException {
    try {
      file.getFD().sync();
    } catch (IOException e) {
      throw syncFailure(path, e);
    }
  }

  @Override
  public void close() throws IOException {
    try (file) {
      arena.close();
    }
  }

  static FileSystemException syncFailure(Path path, IOException cause) {
    FileSystemException failure =
        new FileSystemException(
            path.toString(),
            null,
            "the disk failed to keep what was written: " + cause.getMessage());
    failure.initCause(cause);
    return failure;
  }

  private static void requireSize(Path path, RandomAccessFile file, long size) throws IOException {
    if (file.length() != size) {
      throw new FormatException(path, "size", file.length() + " bytes", size + " bytes");
    }
  }
}
