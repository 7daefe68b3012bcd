package dev.lionstore.state;

import dev.lionstore.rule.Plane;
import java.io.IOException;
import java.lang.foreign.MemorySegment;

/** Writes a state that was kept elsewhere into a store's planes. */
public interface PlaneSource {
  /**
   * Replaces every value of the state.
   *
   * @param planes a tensor's writable values in a plane
   */
  void into(PlaneValues planes) throws IOException;

  /** Where values are. */
  interface PlaneValues {
    /**
     * A tensor's values in a plane of the state.
     *
     * @param tensor its index in the layout
     */
    MemorySegment of(Plane plane, int tensor);
  }
}
