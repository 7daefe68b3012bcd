package dev.lionstore.state;

import dev.lionstore.kernel.GradientValues;
import java.lang.foreign.MemorySegment;
import java.util.Map;

/**
 * The gradients of a store's next step. Different tensors may be put from several threads. Tensors
 * are named by their indexes in the layout.
 *
 * <p>Every method throws {@link IllegalStateException} if the store is not between steps.
 */
public interface Gradients {
  /**
   * Takes a tensor's gradient, instead of an earlier one. Without a gradient plane the caller's
   * memory is read until the step has ended.
   *
   * @throws IllegalArgumentException if the tensor is frozen, the size is wrong, or the gradient
   *     plane cannot hold the values exactly
   */
  void put(int tensor, GradientValues gradient);

  /**
   * The same by the tensor's name, for float32 values, row-major and little-endian.
   *
   * @throws IllegalArgumentException also if there is no such tensor
   */
  void put(String tensor, MemorySegment gradient);

  /**
   * Takes the gradients of many tensors, as {@link #put} does, by as many threads as step if all of
   * them may read the gradients.
   *
   * @throws IllegalArgumentException as {@link #put}, for the first tensor in their order; if none
   *     is frozen or of a wrong size, the others have been put
   */
  void putAll(Map<Integer, GradientValues> gradients);

  /**
   * Adds to a tensor's gradient, in float32.
   *
   * @throws IllegalArgumentException as {@link #put}, or if there is no f32 gradient plane
   */
  void accumulate(int tensor, GradientValues gradient);

  /**
   * Takes what the gradient plane still holds of a tensor as its gradient.
   *
   * @throws IllegalArgumentException if the tensor is frozen or not there
   * @throws IllegalStateException if there is no gradient plane, or none was put since the store
   *     was opened
   */
  void putKept(int tensor);

  /**
   * Copies what the gradient plane holds of a tensor: the gradient that came last, also after the
   * step that took it.
   *
   * @param to as many bytes as the tensor's gradient has in the type of the plane
   * @throws IllegalArgumentException if the tensor is frozen or not there, or the size is wrong
   * @throws IllegalStateException as {@link #putKept}
   */
  void copyKept(int tensor, MemorySegment to);

  /**
   * The sum of squares of a tensor's gradient before anything scales it; finite exactly if all of
   * its values are.
   *
   * @throws IllegalArgumentException if it has none
   */
  double sumOfSquares(int tensor);

  /** Forgets the gradients that have come. */
  void discard();
}
