package dev.lionstore.checkpoint;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.zip.CRC32C;

/**
 * A file as it lies in memory: a header and tensors, one after the other, wherever each of them is.
 * It is written, read and checked in blocks of {@link #BLOCK_BYTES}, of which only the last may be
 * shorter; a block may hold a part of one tensor or thousands of them.
 */
final class BlockFile {
  /** The unit of disk transfers and of checksums, in bytes. */
  static final int BLOCK_BYTES = SnapshotFiles.CHUNK_BYTES;

  /** Bytes that stay in a core's own cache between being copied and summed. */
  private static final int PIECE_BYTES = 64 << 10;

  private final String name;
  private final List<MemorySegment> parts;
  private final long[] offsets;

  /**
   * A file of these parts.
   *
   * @param name its plain name
   * @param parts its content, in order; they are read, or written, but not owned
   */
  BlockFile(String name, List<MemorySegment> parts) {
    this.name = name;
    this.parts = List.copyOf(parts);
    this.offsets = new long[parts.size() + 1];
    for (int p = 0; p < parts.size(); p++) {
      offsets[p + 1] = Math.addExact(offsets[p], parts.get(p).byteSize());
    }
  }

  String name() {
    return name;
  }

  /** Its size. */
  long bytes() {
    return offsets[parts.size()];
  }

  /** How many blocks it has. */
  int blocks() {
    return Math.toIntExact(Math.ceilDiv(bytes(), (long) BLOCK_BYTES));
  }

  /** How many bytes a block has. */
  int length(int block) {
    return (int) Math.min(BLOCK_BYTES, bytes() - offset(block));
  }

  /** Where in the file a block begins. */
  static long offset(int block) {
    return (long) block * BLOCK_BYTES;
  }

  /** Where in the file a part begins. */
  long offsetOfPart(int part) {
    return offsets[part];
  }

  /** The part that holds a byte. */
  int partAt(long offset) {
    int low = 0;
    int high = parts.size();
    while (high - low > 1) {
      int middle = (low + high) >>> 1;
      if (offsets[middle] <= offset) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return low;
  }

  /**
   * Copies a block.
   *
   * @param buffer has room for {@link #length} bytes
   * @return the CRC-32C of what was copied
   */
  int gather(int block, MemorySegment buffer) {
    CRC32C crc = new CRC32C();
    long from = offset(block);
    long end = from + length(block);
    for (int p = partAt(from); from < end; p++) {
      MemorySegment part = parts.get(p);
      long to = Math.min(end, offsets[p + 1]);
      while (from < to) {
        long size = Math.min(PIECE_BYTES, to - from);
        MemorySegment piece = buffer.asSlice(from - offset(block), size);
        MemorySegment.copy(part, from - offsets[p], piece, 0, size);
        crc.update(piece.asByteBuffer());
        from += size;
      }
    }
    return (int) crc.getValue();
  }
}
