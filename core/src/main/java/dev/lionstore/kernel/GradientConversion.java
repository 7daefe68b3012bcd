package dev.lionstore.kernel;

import java.lang.foreign.MemorySegment;

/**
 * Gradients in the type of a gradient plane. Every form gives the same bits but those of a NaN, of
 * which a plane only has to know that it is one. Thread-safe.
 */
public interface GradientConversion {
  /** Returned by {@link #narrow} if every value was held. */
  long ALL_HELD = -1;

  /**
   * Widens to float32, exactly.
   *
   * @param to as many floats, little-endian
   */
  void widen(GradientValues from, MemorySegment to);

  /**
   * Narrows to bfloat16 what bfloat16 holds exactly. NaN stays NaN.
   *
   * @param to as many bfloat16, little-endian; undefined unless all were held
   * @return {@link #ALL_HELD}, or the index of the first value that is not held
   */
  long narrow(GradientValues from, MemorySegment to);

  /**
   * Adds in float32, rounding to nearest even.
   *
   * @param sums as many floats, little-endian
   */
  void add(GradientValues from, MemorySegment sums);
}
