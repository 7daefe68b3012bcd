package dev.lionstore.store;

import dev.lionstore.rule.Master;
import dev.lionstore.rule.Plane;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;

/** A store's state at a step boundary, for those who read it. */
public interface StateView {
  /** The store's folder. */
  Path directory();

  /** What it holds. */
  StoreLayout layout();

  /** Completed steps. */
  long step();

  /** The trainer's own bytes, as handed over with the last step; empty if there were none. */
  byte[] position();

  /**
   * A tensor's values in a plane: contiguous, row-major, little-endian, read-only, aliasing the
   * mapped file, valid until the store is closed.
   *
   * @param tensor its index in the layout
   */
  MemorySegment values(Plane plane, int tensor);

  /**
   * Checks, after reading, that everything read was of one step; a state that cannot change while
   * it is read has nothing to check.
   *
   * @throws StoreBusyException if a step has begun meanwhile: what was read may be torn
   */
  default void requireUnchanged() throws IOException {}

  /**
   * Copies consecutive exact master weights.
   *
   * @param tensor its index in the layout
   * @param from the index of the first element
   * @param to room for the elements as little-endian float32; its size says how many
   */
  default void copyMaster(int tensor, long from, MemorySegment to) {
    ValueLayout.OfShort i16 = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    ValueLayout.OfInt i32 = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    MemorySegment weights = values(Plane.WEIGHTS, tensor);
    MemorySegment remainder = values(Plane.REMAINDER, tensor);
    long count = to.byteSize() / Float.BYTES;
    for (long i = 0; i < count; i++) {
      long offset = 2 * (from + i);
      to.set(i32, 4 * i, Master.bits(weights.get(i16, offset), remainder.get(i16, offset)));
    }
  }
}
