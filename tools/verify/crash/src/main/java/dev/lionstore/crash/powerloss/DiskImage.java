package dev.lionstore.crash.powerloss;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;

/** What a disk holds, in memory; a copy shares what neither has written since. */
final class DiskImage {
  static final int BLOCK_BYTES = 4096;

  private static final int PIECE_BLOCKS = 256;

  /** What every block is that holds nothing else: comparing it with itself takes no time. */
  private final byte[] zeros;

  private final byte[][] blocks;

  private DiskImage(byte[] zeros, byte[][] blocks) {
    this.zeros = zeros;
    this.blocks = blocks;
  }

  /** Nothing but zeros. */
  static DiskImage blank(long bytes) {
    byte[] zeros = new byte[BLOCK_BYTES];
    byte[][] blocks = new byte[Math.toIntExact(bytes / BLOCK_BYTES)][];
    Arrays.fill(blocks, zeros);
    return new DiskImage(zeros, blocks);
  }

  DiskImage copy() {
    return new DiskImage(zeros, blocks.clone());
  }

  /** Writes all that remains of the data. */
  void write(long offset, ByteBuffer data) {
    long at = offset;
    while (data.hasRemaining()) {
      int index = Math.toIntExact(at / BLOCK_BYTES);
      int from = (int) (at % BLOCK_BYTES);
      int length = Math.min(BLOCK_BYTES - from, data.remaining());
      byte[] block = blocks[index].clone();
      data.get(block, from, length);
      blocks[index] = Arrays.equals(block, zeros) ? zeros : block;
      at += length;
    }
  }

  /** Puts it into a new file, with holes for zeros. */
  void store(Path file) throws IOException {
    Files.deleteIfExists(file);
    ByteBuffer piece = ByteBuffer.allocateDirect(PIECE_BLOCKS * BLOCK_BYTES);
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      // What is not written is a hole up to here.
      channel.write(ByteBuffer.allocate(1), (long) blocks.length * BLOCK_BYTES - 1);
      int block = 0;
      while (block < blocks.length) {
        int first = block;
        while (block < blocks.length
            && !Arrays.equals(blocks[block], zeros)
            && piece.hasRemaining()) {
          piece.put(blocks[block++]);
        }
        if (block == first) {
          block++;
        } else {
          flush(channel, (long) first * BLOCK_BYTES, piece);
        }
      }
    }
  }

  private static void flush(FileChannel channel, long start, ByteBuffer piece) throws IOException {
    piece.flip();
    while (piece.hasRemaining()) {
      channel.write(piece, start + piece.position());
    }
    piece.clear();
  }
}
