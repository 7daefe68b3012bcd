package dev.lionstore.cli;

import dev.lionstore.ParameterGroup;
import dev.lionstore.rule.RuleSettings;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The hyperparameters of update rules, as options: each rule takes those that it has. */
final class RuleOptions {
  @Option(
      names = "--weight-decay",
      paramLabel = "X",
      description = "Decoupled weight decay (default: step 0, adamw 0.01; train 0.1).")
  private @Nullable Double weightDecay;

  @Option(
      names = "--beta1",
      paramLabel = "X",
      description =
          "lion: how much momentum the update takes; adamw: how much momentum is kept; from 0 to"
              + " below 1 (default: 0.9; train lion: 0.95).")
  private @Nullable Double beta1;

  @Option(
      names = "--beta2",
      paramLabel = "X",
      description =
          "How much is kept, of lion's momentum or adamw's second moment, from 0 to below 1 (default:"
              + " 0.99, adamw 0.999; train 0.98, adamw 0.95).")
  private @Nullable Double beta2;

  @Option(
      names = "--eps",
      paramLabel = "X",
      description = "adamw: what is added to the root of the second moment (default: 1e-8).")
  private @Nullable Double eps;

  /**
   * A rule's settings with the options that were given.
   *
   * @param usual the others
   * @throws IllegalArgumentException if one is not of this rule, or out of its bounds at this
   *     learning rate
   */
  RuleSettings settings(RuleSettings usual, double learningRate) {
    RuleSettings settings = with(usual, RuleSettings.WEIGHT_DECAY, weightDecay);
    settings = with(settings, "beta1", beta1);
    settings = with(settings, "beta2", beta2);
    settings = with(settings, "eps", eps);
    settings.hyperparameters(learningRate, ParameterGroup.ofDefaults());
    return settings;
  }

  private static RuleSettings with(RuleSettings settings, String name, @Nullable Double value) {
    return value == null ? settings : settings.with(name, value);
  }
}
