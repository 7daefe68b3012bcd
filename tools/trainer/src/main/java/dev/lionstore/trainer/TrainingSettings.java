package dev.lionstore.trainer;

import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.rule.LionConfig;

/**
 * Everything that decides a run's bits beside its text. A run is resumed with equal settings alone.
 *
 * @param shape the model's sizes
 * @param windows windows of text per step
 * @param steps how long the run is
 * @param learningRate the schedule's peak
 * @param warmUpSteps until the peak is reached
 * @param floorFraction where the cosine ends, as a fraction of the peak
 * @param beta1 Lion's β1
 * @param beta2 Lion's β2
 * @param weightDecay Lion's λ
 * @param clipNorm the global norm that gradients are clipped to; positive
 * @param seed of initial weights, data order and stochastic rounding
 * @param rounding of momentum
 * @param gradientPlane which gradients the store keeps; f32, or none
 */
public record TrainingSettings(
    ModelShape shape,
    int windows,
    long steps,
    double learningRate,
    long warmUpSteps,
    double floorFraction,
    double beta1,
    double beta2,
    double weightDecay,
    double clipNorm,
    long seed,
    Rounding rounding,
    GradientPlane gradientPlane) {

  /** Refuses what makes no run. */
  public TrainingSettings {
    Require.atLeast(1, "batch", windows);
    Require.between(Double.MIN_VALUE, Double.MAX_VALUE, "clip norm", clipNorm);
    new LearningRateSchedule(learningRate, warmUpSteps, steps, floorFraction);
    new LionConfig(beta1, beta2, weightDecay);
    if (gradientPlane == GradientPlane.BF16) {
      throw new IllegalArgumentException(
          "gradient plane is bf16, but the trainer's gradients are f32: use f32 or none");
    }
  }

  /** The learning rate by step. */
  public LearningRateSchedule schedule() {
    return new LearningRateSchedule(learningRate, warmUpSteps, steps, floorFraction);
  }

  /** The rule's settings. */
  public LionConfig lion() {
    return new LionConfig(beta1, beta2, weightDecay);
  }
}
