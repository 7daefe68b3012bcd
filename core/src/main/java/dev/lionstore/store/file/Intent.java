package dev.lionstore.store.file;

import dev.lionstore.Rounding;
import java.util.BitSet;

/**
 * That a step will happen, and everything that decides its bits but the gradients.
 *
 * @param rounding of the state planes
 * @param seed of stochastic rounding
 * @param gradientScale clip coefficient / (loss scale × micro-batches)
 * @param hyperparameters of each group, in its rule's order
 * @param tensors which tensors have gradients
 */
public record Intent(
    Rounding rounding,
    long seed,
    double gradientScale,
    double[][] hyperparameters,
    BitSet tensors) {
  /** What a header without an intent records. */
  public static final Intent NONE =
      new Intent(Rounding.NEAREST, 0, 0, new double[0][], new BitSet());
}
