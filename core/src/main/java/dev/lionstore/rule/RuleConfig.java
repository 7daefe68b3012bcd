package dev.lionstore.rule;

import dev.lionstore.ParameterGroup;

/** What a user sets of a rule for a step: its rule and its hyperparameters for a group. */
public interface RuleConfig {
  /** The rule that this configures. */
  UpdateRule rule();

  /**
   * The hyperparameters of a group in the order of {@link UpdateRule#hyperparameters()}.
   *
   * @param learningRate the step's learning rate before the group's scale
   * @param group whose own values beat this configuration's
   * @throws IllegalArgumentException naming the value that is out of its bounds
   */
  double[] hyperparameters(double learningRate, ParameterGroup group);
}
