package dev.lionstore.crash.powerloss;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * The log of a disk's writes, in the format of Linux's dm-log-writes, little-endian, in sectors of
 * 512 bytes:
 *
 * <pre>
 *  sector 0     u64 magic, u64 version, u64 entries, u32 bytes of a sector
 *  each entry   u64 first sector, u64 sectors, u64 flags, u64 unused; filled up to a sector;
 *               then the sectors written, none for a discard
 * </pre>
 */
final class WriteLog implements AutoCloseable {
  static final int SECTOR_BYTES = 512;

  private static final long MAGIC = 0x6A736677736872L;
  private static final int FLUSH = 1;
  private static final int FUA = 2;
  private static final int DISCARD = 4;
  private static final int HEAD_BYTES = 32;
  private static final int COUNT_OFFSET = 16;

  private final FileChannel channel;

  private WriteLog(FileChannel channel) {
    this.channel = channel;
  }

  /** What reached the disk. */
  enum Kind {
    /** May be lost, or in part, until the next flush. */
    WRITE,
    /** Is never lost. */
    DURABLE_WRITE,
    /** Leaves anything there; here, zeros. */
    DISCARD,
    /** What was written before it is never lost. */
    FLUSH
  }

  /**
   * One write or flush.
   *
   * @param offset on the disk, in bytes
   * @param bytes how many
   * @param place of the bytes, in the log
   */
  record Entry(Kind kind, long offset, int bytes, long place) {}

  static WriteLog open(Path file) throws IOException {
    WriteLog log = new WriteLog(FileChannel.open(file));
    if (log.read(0, Long.BYTES).getLong() != MAGIC) {
      try (log) {
        throw new IOException(file + " is no log of writes");
      }
    }
    return log;
  }

  /** How many entries there are so far. */
  int count() throws IOException {
    return Math.toIntExact(read(COUNT_OFFSET, Long.BYTES).getLong());
  }

  /** The first so many entries. */
  List<Entry> entries(int count) throws IOException {
    List<Entry> entries = new ArrayList<>();
    long at = SECTOR_BYTES;
    while (entries.size() < count) {
      ByteBuffer head = read(at, HEAD_BYTES);
      at += SECTOR_BYTES;
      long offset = head.getLong() * SECTOR_BYTES;
      int bytes = Math.toIntExact(head.getLong() * SECTOR_BYTES);
      Entry entry = new Entry(kind(head.getLong()), offset, bytes, at);
      entries.add(entry);
      at += entry.kind() == Kind.DISCARD ? 0 : bytes;
    }
    return entries;
  }

  private static Kind kind(long flags) {
    if ((flags & DISCARD) != 0) {
      return Kind.DISCARD;
    }
    if ((flags & FLUSH) != 0) {
      return Kind.FLUSH;
    }
    return (flags & FUA) != 0 ? Kind.DURABLE_WRITE : Kind.WRITE;
  }

  /** What a write wrote. */
  ByteBuffer data(Entry entry) throws IOException {
    return entry.kind() == Kind.DISCARD
        ? ByteBuffer.allocate(entry.bytes())
        : read(entry.place(), entry.bytes());
  }

  private ByteBuffer read(long at, int bytes) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    while (buffer.hasRemaining()) {
      if (channel.read(buffer, at + buffer.position()) < 0) {
        throw new IOException("the log of writes ends at byte " + (at + buffer.position()));
      }
    }
    return buffer.flip();
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
