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
 * @param looks what was looked at, where {@link LookPlaces} says; 0 for tensors without gradients
 */
@SuppressWarnings("ArrayRecordComponent") // written as they are, compared by nobody
public record Intent(
    Rounding rounding,
    long seed,
    double gradientScale,
    double[][] hyperparameters,
    BitSet tensors,
    float[] looks) {
  /** What a header without an intent records. */
  public static final Intent NONE =
      new Intent(Rounding.NEAREST, 0, 0, new double[0][], new BitSet());

  /** One before anything has been looked at. */
  public Intent(
      Rounding rounding,
      long seed,
      double gradientScale,
      double[][] hyperparameters,
      BitSet tensors) {
    this(rounding, seed, gradientScale, hyperparameters, tensors, new float[0]);
  }

  /** The same with what was looked at. */
  public Intent withLooks(float[] looked) {
    return new Intent(rounding, seed, gradientScale, hyperparameters, tensors, looked);
  }
}
