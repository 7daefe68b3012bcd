package dev.lionstore.kernel;

import dev.lionstore.rule.UpdateRule;

/** A backend's form of one update rule. Immutable and thread-safe. */
public interface Kernel {
  /** What tensors are aligned and padded to, in elements. */
  int ALIGNMENT = 64;

  /**
   * The longest slice that {@link Stepper#apply} takes, in elements; slices start at its multiples.
   */
  int MAX_SLICE = 256;

  /** The elements whose squares are summed together, in order (core/ARITHMETIC.md, "Clipping"). */
  int NORM_BLOCK = 65_536;

  /** The partial sums of a block. */
  int NORM_LANES = 16;

  /** What the user calls this backend. */
  String backend();

  /** The rule that it computes. */
  UpdateRule rule();

  /** A new stepper, for one thread at a time; it owns whatever scratch memory it needs. */
  Stepper newStepper();

  /** One thread's arithmetic. */
  interface Stepper {
    /**
     * Steps consecutive elements of a tensor in place.
     *
     * @param from the index of the first element in the tensor, a multiple of {@link #MAX_SLICE}
     * @param count how many elements, at most {@link #MAX_SLICE}
     */
    void apply(TensorStep tensor, long from, int count);

    /**
     * The sum of the squares of consecutive values in double: square i goes to partial sum i mod
     * {@link #NORM_LANES}, the partial sums are added in their order. It is finite exactly if all
     * values are.
     *
     * @param from the index of the first value, a multiple of {@link #NORM_BLOCK}
     * @param count how many values, at most {@link #NORM_BLOCK}
     */
    double sumOfSquares(GradientValues gradient, long from, int count);
  }
}
