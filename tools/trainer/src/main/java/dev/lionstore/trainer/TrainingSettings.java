package dev.lionstore.trainer;

import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;

/**
 * Everything that decides a run's bits beside its text. A run is resumed with equal settings alone.
 *
 * @param shape the model's sizes
 * @param windows windows of text per step
 * @param steps how long the run is
 * @param schedule the learning rate by step
 * @param optimizer the update rule
 * @param clipNorm the global norm that gradients are clipped to; positive
 * @param seed of initial weights, data order and stochastic rounding
 * @param rounding of bf16 moments
 * @param gradientPlane which gradients the store keeps; f32, or none
 */
public record TrainingSettings(
    TransformerShape shape,
    int windows,
    long steps,
    LearningRateSchedule schedule,
    Optimizer optimizer,
    double clipNorm,
    long seed,
    Rounding rounding,
    GradientPlane gradientPlane) {
  private static final long MOST_WARM_UP_STEPS = 50;

  /** Refuses what makes no run. */
  public TrainingSettings {
    Require.atLeast(1, "batch", windows);
    Require.between(Double.MIN_VALUE, Double.MAX_VALUE, "clip norm", clipNorm);
    optimizer.settings().hyperparameters(schedule.peak(), ParameterGroup.ofDefaults());
    optimizer.request(schedule.peak());
    if (gradientPlane == GradientPlane.BF16) {
      throw new IllegalArgumentException(
          "gradient plane is bf16, but the trainer's gradients are f32: use f32 or none");
    }
  }

  /** In how many steps the learning rate rises to its peak unless a user says otherwise. */
  public static long usualWarmUp(long steps) {
    return Math.min(MOST_WARM_UP_STEPS, steps / 10);
  }
}
