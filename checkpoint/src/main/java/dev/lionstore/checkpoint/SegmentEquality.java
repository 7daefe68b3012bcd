package dev.lionstore.checkpoint;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.function.LongConsumer;

/** Long work in pieces, so that progress is seen within one large tensor. */
final class SegmentEquality {
  /** A multiple of every element's size. */
  static final long BYTES = 64L << 20;

  /** Both stay in the second-level cache. */
  private static final int COMPARED_BYTES = 256 << 10;

  private SegmentEquality() {}

  /** What is done with a piece. */
  interface Work {
    /**
     * Does it.
     *
     * @param offset of the piece in the whole, in bytes
     */
    void accept(long offset, MemorySegment piece) throws IOException;
  }

  /**
   * Does something with each piece, in order; with none if there are no bytes.
   *
   * @param progress told the bytes done since the last call
   */
  static void forEach(MemorySegment whole, LongConsumer progress, Work work) throws IOException {
    for (long offset = 0; offset < whole.byteSize(); offset += BYTES) {
      long size = Math.min(BYTES, whole.byteSize() - offset);
      work.accept(offset, whole.asSlice(offset, size));
      progress.accept(size);
    }
  }

  /**
   * Whether two hold the same bytes. They are copied and then compared: where a page of a mapped
   * file is gone, a copy throws, while HotSpot's loop in {@code MemorySegment.mismatch} ends the
   * process.
   */
  static boolean areEqual(MemorySegment a, MemorySegment b, LongConsumer progress) {
    if (a.byteSize() != b.byteSize()) {
      return false;
    }
    int most = (int) Math.min(COMPARED_BYTES, a.byteSize());
    byte[] left = new byte[most];
    byte[] right = new byte[most];
    for (long offset = 0; offset < a.byteSize(); offset += COMPARED_BYTES) {
      int size = (int) Math.min(COMPARED_BYTES, a.byteSize() - offset);
      MemorySegment.copy(a, ValueLayout.JAVA_BYTE, offset, left, 0, size);
      MemorySegment.copy(b, ValueLayout.JAVA_BYTE, offset, right, 0, size);
      if (!Arrays.equals(left, 0, size, right, 0, size)) {
        return false;
      }
      progress.accept(size);
    }
    return true;
  }
}
