package dev.lionstore.state;

import dev.lionstore.rule.Master;
import dev.lionstore.rule.Plane;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;

/** A store's state at a step boundary, for those who read it. */
public interface StateView {
  /** The store's folder. */
  Path directory();

  /** What it holds. */
  StoreLayout layout();

  /** Completed steps. */
  long step();

  /**
   * How many steps a tensor has taken. If the rule does not count them, that is {@link #step()}.
   *
   * @param tensor its index in the layout
   */
  default long stepCount(int tensor) {
    return step();
  }

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
    MemorySegment weights = values(Plane.WEIGHTS, tensor).asSlice(2 * from);
    MemorySegment remainder = values(Plane.REMAINDER, tensor).asSlice(2 * from);
    Master.join(weights, remainder, to);
  }
}
