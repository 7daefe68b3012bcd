package dev.lionstore.state;

import dev.lionstore.rule.Plane;
import java.io.IOException;
import java.nio.ByteBuffer;

/** Where values of a store that is being made go. Safe for several threads. */
public interface PlaneSink {
  /**
   * Writes consecutive values of a tensor.
   *
   * @param tensor its index in the layout
   * @param offset of the first byte among the tensor's in this plane
   * @param bytes little-endian; a direct buffer is not copied
   * @throws java.nio.file.FileSystemException naming the file if the disk is full or fails
   * @throws IllegalArgumentException if the tensor has no such bytes in this plane
   */
  void write(Plane plane, int tensor, long offset, ByteBuffer bytes) throws IOException;

  /** Hands over the values that planes are to have. */
  interface Filler {
    /**
     * Does so; all that it does not write is zero.
     *
     * @param planes where they go, until this returns
     */
    void fill(PlaneSink planes) throws IOException;
  }
}
