package dev.lionstore.store;

/** How a step ended. */
public sealed interface StepResult {
  /**
   * The state is at the next step.
   *
   * @param step completed steps
   * @param gradientNorm the global norm after unscaling, before clipping
   * @param clipCoefficient what gradients were multiplied with beyond unscaling; 1 if not clipped
   */
  record Applied(long step, double gradientNorm, double clipCoefficient) implements StepResult {}

  /**
   * A gradient is not finite; the state is as it was, to the bit, and the gradients are discarded.
   *
   * @param tensor the tensor's name
   * @param index the element's index in the tensor
   * @param value what the gradient is after scaling: NaN or infinite
   */
  record Refused(String tensor, long index, float value) implements StepResult {}
}
