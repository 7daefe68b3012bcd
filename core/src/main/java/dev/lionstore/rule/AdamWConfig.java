package dev.lionstore.rule;

import dev.lionstore.ParameterGroup;

/**
 * AdamW's settings (arXiv 1711.05101); the learning rate comes with each step.
 *
 * @param rule how moments are stored
 * @param beta1 how much momentum is kept, in [0, 1)
 * @param beta2 how much of the second moment is kept, in [0, 1)
 * @param eps what is added to the root of the second moment, above 0
 * @param weightDecay decoupled weight decay λ, finite, at least 0
 */
public record AdamWConfig(AdamW rule, double beta1, double beta2, double eps, double weightDecay)
    implements RuleConfig {
  /** Validates. */
  public AdamWConfig {
    Bounds.requireBeta("beta1", beta1);
    Bounds.requireBeta("beta2", beta2);
    AdamW.requireEps(eps);
    Bounds.requireNonNegative("weight decay", weightDecay);
  }

  /** PyTorch's: β = (0.9, 0.999), ε = 10⁻⁸, λ = 0.01. */
  public static AdamWConfig defaults() {
    return new AdamWConfig(AdamW.RULE, 0.9, 0.999, 1e-8, 0.01);
  }

  /** The same with moments stored otherwise. */
  public AdamWConfig withRule(AdamW newRule) {
    return new AdamWConfig(newRule, beta1, beta2, eps, weightDecay);
  }

  /** The same with other betas. */
  public AdamWConfig withBetas(double newBeta1, double newBeta2) {
    return new AdamWConfig(rule, newBeta1, newBeta2, eps, weightDecay);
  }

  /** The same with another ε. */
  public AdamWConfig withEps(double newEps) {
    return new AdamWConfig(rule, beta1, beta2, newEps, weightDecay);
  }

  /** The same with another weight decay. */
  public AdamWConfig withWeightDecay(double newWeightDecay) {
    return new AdamWConfig(rule, beta1, beta2, eps, newWeightDecay);
  }

  @Override
  public double[] hyperparameters(double learningRate, ParameterGroup group) {
    return new RuleSettings(rule, learningRate, beta1, beta2, eps, weightDecay)
        .hyperparameters(learningRate, group);
  }
}
