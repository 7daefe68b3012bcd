package dev.lionstore.mapping;

import dev.lionstore.FormatException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import net.openhft.chronicle.bytes.MappedBytes;

/**
 * A file mapped in one piece, whatever its size. Writable ones are mapped by Chronicle Bytes; those
 * that are only read by the JDK, which starts faster. Its memory is valid until it is closed; using
 * it later throws.
 */
public final class MappedFile implements AutoCloseable {
  /** What sizes are multiples of, in bytes: Chronicle Bytes would extend other files. */
  public static final int PAGE_BYTES = 4096;

  private final Path path;
  private final FileChannel channel;
  private final Arena arena;
  private final MemorySegment memory;

  private MappedFile(Path path, FileChannel channel, Arena arena, MemorySegment memory) {
    this.path = path;
    this.channel = channel;
    this.arena = arena;
    this.memory = memory;
  }

  /**
   * Maps a file for reading and writing.
   *
   * @param size what the file must have, in bytes
   * @throws FormatException if it has another size
   */
  @SuppressWarnings({
    "restricted",
    "MustBeClosedChecker"
  }) // the mapping's address and size are Chronicle's own
  public static MappedFile openWritable(Path path, long size) throws IOException {
    FileChannel channel = FileChannel.open(path, StandardOpenOption.READ, StandardOpenOption.WRITE);
    try {
      requireSize(path, channel, size);
      Arena arena = Arena.ofShared();
      MappedBytes bytes = MappedBytes.singleMappedBytes(path.toFile(), size);
      MemorySegment memory =
          MemorySegment.ofAddress(bytes.addressForWrite(0))
              .reinterpret(size, arena, _ -> bytes.releaseLast());
      return new MappedFile(path, channel, arena, memory);
    } catch (IOException | RuntimeException | Error e) {
      channel.close();
      throw e;
    }
  }

  /**
   * Maps a file for reading; the memory is read-only.
   *
   * @param size what the file must have, in bytes
   * @throws FormatException if it has another size
   */
  @SuppressWarnings("MustBeClosedChecker") // closed by close()
  public static MappedFile openReadOnly(Path path, long size) throws IOException {
    FileChannel channel = FileChannel.open(path, StandardOpenOption.READ);
    try {
      requireSize(path, channel, size);
      Arena arena = Arena.ofShared();
      MemorySegment memory = channel.map(FileChannel.MapMode.READ_ONLY, 0, size, arena);
      return new MappedFile(path, channel, arena, memory);
    } catch (IOException | RuntimeException | Error e) {
      channel.close();
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
    requireSize(path, channel, memory.byteSize());
  }

  /** Makes everything written so far durable. A failure is final: never try again. */
  public void force() throws IOException {
    channel.force(true);
  }

  @Override
  public void close() throws IOException {
    arena.close();
    channel.close();
  }

  private static void requireSize(Path path, FileChannel channel, long size) throws IOException {
    if (channel.size() != size) {
      throw new FormatException(path, "size", channel.size() + " bytes", size + " bytes");
    }
  }
}
