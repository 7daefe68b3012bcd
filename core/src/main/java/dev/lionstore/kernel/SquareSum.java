package dev.lionstore.kernel;

/**
 * Sums squares for the norm of a gradient, for one thread at a time. Every form gives the same
 * bits.
 */
public interface SquareSum {
  /** The elements whose squares are summed together, in order (core/ARITHMETIC.md, "Clipping"). */
  int BLOCK = 65_536;

  /** The partial sums of a block. */
  int LANES = 16;

  /**
   * The sum of the squares of consecutive values in double: square i goes to partial sum i mod
   * {@link #LANES}, the partial sums are added in their order. It is finite exactly if all values
   * are.
   *
   * @param from the index of the first value, a multiple of {@link #BLOCK}
   * @param count how many values, at most {@link #BLOCK}
   */
  double of(GradientValues gradient, long from, int count);
}
