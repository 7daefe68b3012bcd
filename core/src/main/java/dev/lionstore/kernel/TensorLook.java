package dev.lionstore.kernel;

import dev.lionstore.rule.LookPass;

/**
 * Looks at tensors before they are stepped, for one thread at a time; changes nothing. Every form
 * gives the same bits.
 */
public interface TensorLook {
  /** The elements whose values are added together (core/ARITHMETIC.md, "Looks"). */
  int BLOCK = SquareSum.BLOCK;

  /** The partial totals of a block: value i goes to partial total i mod so many. */
  int LANES = SquareSum.LANES;

  /**
   * The totals of a block.
   *
   * @param pass the index of a {@link LookPass} of the tensor's rule
   * @param from the index of the first element, a multiple of {@link #BLOCK}
   * @param count how many elements, at most {@link #BLOCK}
   * @param totals where they go, one for each look of the pass
   * @param at the index there of the first
   */
  void of(TensorStep tensor, int pass, long from, int count, double[] totals, int at);
}
