package dev.lionstore.kernel;

import java.lang.foreign.MemorySegment;

/**
 * Exact masters between their two planes and the memory of whoever computes with them. Every form
 * gives the same bits. Thread-safe.
 */
public interface MasterConversion {
  /** Returned by {@link #mismatch} if nothing differs. */
  long EQUAL = -1;

  /**
   * Writes consecutive masters as float32.
   *
   * @param weights at least as many values as there is room for
   * @param remainder likewise
   * @param to its size says how many; little-endian
   */
  void join(MemorySegment weights, MemorySegment remainder, MemorySegment to);

  /**
   * The index of the first value that is not, in every bit, what a parameter of its type is given
   * of the master: as float32 the master itself, as bfloat16 the weights, as float16 the master
   * rounded to nearest even.
   *
   * @param weights as many as there are values
   * @param remainder likewise
   * @return {@link #EQUAL} if there is none
   */
  long mismatch(MemorySegment weights, MemorySegment remainder, GradientValues values);
}
