package dev.lionstore.checkpoint;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.function.LongConsumer;

/** Long work in pieces, so that progress is seen within one large tensor. */
final class Pieces {
  /** A multiple of every element's size. */
  static final long BYTES = 64L << 20;

  private Pieces() {}

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

  /** Whether two hold the same bytes. */
  static boolean areEqual(MemorySegment a, MemorySegment b, LongConsumer progress) {
    if (a.byteSize() != b.byteSize()) {
      return false;
    }
    for (long offset = 0; offset < a.byteSize(); offset += BYTES) {
      long end = Math.min(offset + BYTES, a.byteSize());
      if (MemorySegment.mismatch(a, offset, end, b, offset, end) >= 0) {
        return false;
      }
      progress.accept(end - offset);
    }
    return true;
  }
}
