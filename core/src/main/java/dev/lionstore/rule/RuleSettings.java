package dev.lionstore.rule;

import dev.lionstore.ParameterGroup;
import java.util.List;

/** Any rule's settings, by the names of its hyperparameters. */
public final class RuleSettings implements RuleConfig {
  /** The hyperparameter that a step gives, and a group scales; every rule has it. */
  public static final String LEARNING_RATE = "learning_rate";

  /** The hyperparameter that a group may have of its own; every rule has it. */
  public static final String WEIGHT_DECAY = "weight_decay";

  private final UpdateRule rule;
  private final double[] values;

  /**
   * Settings of all hyperparameters.
   *
   * @param values in the rule's order; that of the learning rate is not used
   */
  RuleSettings(UpdateRule rule, double... values) {
    this.rule = rule;
    this.values = values;
  }

  /** The rule's defaults. */
  public static RuleSettings defaults(UpdateRule rule) {
    return new RuleSettings(rule, rule.defaults());
  }

  /**
   * The same with another value.
   *
   * @param name of a hyperparameter
   * @throws IllegalArgumentException if the rule has none of that name
   */
  public RuleSettings with(String name, double value) {
    double[] changed = values.clone();
    changed[index(name)] = value;
    return new RuleSettings(rule, changed);
  }

  /**
   * A value.
   *
   * @throws IllegalArgumentException if the rule has none of that name
   */
  public double get(String name) {
    return values[index(name)];
  }

  @Override
  public UpdateRule rule() {
    return rule;
  }

  @Override
  public double[] hyperparameters(double learningRate, ParameterGroup group) {
    double[] own = values.clone();
    own[index(LEARNING_RATE)] = learningRate * group.learningRateScale();
    int decay = index(WEIGHT_DECAY);
    own[decay] = group.weightDecay().orElse(own[decay]);
    rule.coefficients(own, 1, 1);
    return own;
  }

  private int index(String name) {
    List<String> names = rule.hyperparameters();
    int index = names.indexOf(name);
    if (index < 0) {
      throw new IllegalArgumentException(
          "rule " + rule.name() + " has no " + name + "; it has " + String.join(", ", names));
    }
    return index;
  }
}
