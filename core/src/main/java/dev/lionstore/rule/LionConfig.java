package dev.lionstore.rule;

import dev.lionstore.ParameterGroup;

/**
 * Lion's settings (arXiv 2302.06675); the learning rate comes with each step.
 *
 * @param beta1 how much momentum the update interpolates, in [0, 1); for language 0.95
 * @param beta2 how much momentum is kept, in [0, 1); for language 0.98
 * @param weightDecay decoupled weight decay λ, finite, at least 0
 */
public record LionConfig(double beta1, double beta2, double weightDecay) implements RuleConfig {
  /** Validates. */
  public LionConfig {
    Bounds.requireBeta("beta1", beta1);
    Bounds.requireBeta("beta2", beta2);
    Bounds.requireNonNegative("weight decay", weightDecay);
  }

  /** β = (0.9, 0.99) without weight decay, as in the paper. */
  public static LionConfig defaults() {
    return new LionConfig(0.9, 0.99, 0);
  }

  /** The same with other betas. */
  public LionConfig withBetas(double newBeta1, double newBeta2) {
    return new LionConfig(newBeta1, newBeta2, weightDecay);
  }

  /** The same with another weight decay. */
  public LionConfig withWeightDecay(double newWeightDecay) {
    return new LionConfig(beta1, beta2, newWeightDecay);
  }

  @Override
  public UpdateRule rule() {
    return Lion.RULE;
  }

  @Override
  public double[] hyperparameters(double learningRate, ParameterGroup group) {
    return new RuleSettings(Lion.RULE, learningRate, beta1, beta2, weightDecay)
        .hyperparameters(learningRate, group);
  }
}
