package dev.lionstore.checkpoint;

import dev.lionstore.FormatException;
import dev.lionstore.os.DirectAccess;
import dev.lionstore.os.MappedFile;
import dev.lionstore.os.Posix;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileSystemException;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.jspecify.annotations.Nullable;

/**
 * A file that is read or written in large blocks past the page cache, which the planes of a store
 * need more: direct I/O where the file system has it, else through the cache. Safe for several
 * threads. Errors name the file.
 */
final class DirectFile implements AutoCloseable {
  /** What the addresses of buffers and the offsets in files must be multiples of, in bytes. */
  static final int ALIGNMENT = MappedFile.PAGE_BYTES;

  private final Path path;
  private final long bytes;
  private final OpenOption access;
  private final FileChannel channel;
  private volatile @Nullable FileChannel cached;

  private DirectFile(Path path, long bytes, OpenOption access) throws IOException {
    this.path = path;
    this.bytes = bytes;
    this.access = access;
    FileChannel opened;
    try {
      opened = FileChannel.open(path, access, DirectAccess.option());
    } catch (IOException | UnsupportedOperationException e) {
      opened = FileChannel.open(path, access);
    }
    this.channel = opened;
  }

  /**
   * Creates a file with all of its blocks allocated.
   *
   * @param bytes its size
   * @throws FileSystemException if the space is not there
   */
  static DirectFile create(Path path, long bytes) throws IOException {
    Posix.createAllocated(path, MappedFile.wholePages(bytes));
    return new DirectFile(path, bytes, StandardOpenOption.WRITE);
  }

  /**
   * Opens a file for reading.
   *
   * @param bytes the size that it must have
   */
  static DirectFile open(Path path, long bytes) throws IOException {
    DirectFile file = new DirectFile(path, bytes, StandardOpenOption.READ);
    long found = file.channel.size();
    if (found != bytes) {
      file.close();
      throw new FormatException(path, "size", found + " bytes", bytes + " bytes");
    }
    return file;
  }

  /**
   * Writes.
   *
   * @param buffer aligned, with room for whole pages, of which those after {@code length} bytes are
   *     changed to zeros
   * @param length how many bytes; fewer than whole pages only at the end of the file
   * @param offset in the file, aligned
   */
  void write(MemorySegment buffer, int length, long offset) throws IOException {
    long padded = MappedFile.wholePages(length);
    buffer.asSlice(length, padded - length).fill((byte) 0);
    transfer(buffer.asSlice(0, padded).asByteBuffer(), offset, FileChannel::write);
  }

  /**
   * Reads.
   *
   * @param buffer aligned, with room for whole pages
   * @param length how many bytes; fewer than whole pages only at the end of the file
   * @param offset in the file, aligned
   */
  void read(MemorySegment buffer, int length, long offset) throws IOException {
    ByteBuffer target = buffer.asSlice(0, MappedFile.wholePages(length)).asByteBuffer();
    transfer(target, offset, FileChannel::read);
    if (target.position() < length) {
      throw new FormatException(path, "size", offset + target.position() + " bytes", "more");
    }
  }

  private interface Transfer {
    int run(FileChannel channel, ByteBuffer buffer, long offset) throws IOException;
  }

  private void transfer(ByteBuffer buffer, long offset, Transfer transfer) throws IOException {
    try {
      try {
        transferAll(buffer, offset, transfer);
      } catch (IOException | IllegalArgumentException e) {
        // Some file systems accept the flag and then refuse the transfer.
        useCache();
        transferAll(buffer, offset, transfer);
      }
    } catch (FileSystemException e) {
      throw e;
    } catch (IOException e) {
      throw named(e);
    }
  }

  private void transferAll(ByteBuffer buffer, long offset, Transfer transfer) throws IOException {
    FileChannel withCache = cached;
    FileChannel used = withCache == null ? channel : withCache;
    while (buffer.hasRemaining()) {
      int done = transfer.run(used, buffer, offset + buffer.position());
      if (done < 0 || offset + buffer.position() >= bytes) {
        return;
      }
    }
  }

  /** Other threads may be using the channel that there is: it stays open. */
  private synchronized void useCache() throws IOException {
    if (cached == null) {
      cached = FileChannel.open(path, access);
    }
  }

  /** Makes what was written durable, in its exact size. */
  void finish() throws IOException {
    try {
      channel.truncate(bytes);
      channel.force(true);
    } catch (IOException e) {
      throw named(e);
    }
  }

  private IOException named(IOException e) {
    IOException named = new FileSystemException(path.toString(), null, e.getMessage());
    named.initCause(e);
    return named;
  }

  @Override
  public void close() throws IOException {
    try (channel) {
      FileChannel withCache = cached;
      if (withCache != null) {
        withCache.close();
      }
    }
  }
}
