package dev.lionstore.rule;

import dev.lionstore.ParameterGroup;
import dev.lionstore.formula.RuleText;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Any rule's settings, by the names of its hyperparameters. */
public final class RuleSettings {
  /** The hyperparameter that a step gives, and a group scales; every rule has it. */
  public static final String LEARNING_RATE = RuleText.LEARNING_RATE;

  /** The hyperparameter that a group may have of its own; every rule has it. */
  public static final String WEIGHT_DECAY = RuleText.WEIGHT_DECAY;

  private final UpdateRule rule;
  private final double[] values;

  /** What groups have that are set apart, by their names. */
  private final Map<String, double[]> ofGroups;

  /**
   * Settings of all hyperparameters.
   *
   * @param values in the rule's order; that of the learning rate is not used
   */
  private RuleSettings(UpdateRule rule, double[] values, Map<String, double[]> ofGroups) {
    this.rule = rule;
    this.values = values;
    this.ofGroups = ofGroups;
  }

  /** The rule's defaults. */
  static RuleSettings defaults(UpdateRule rule) {
    return new RuleSettings(rule, rule.defaults(), Map.of());
  }

  /**
   * The same with another value.
   *
   * @param name of a hyperparameter
   * @throws IllegalArgumentException if the rule has none of that name, or that is out of its
   *     bounds
   */
  public RuleSettings with(String name, double value) {
    double[] changed = values.clone();
    changed[index(name)] = value;
    rule.requireBound(index(name), value);
    return new RuleSettings(rule, changed, ofGroups);
  }

  /**
   * The same with hyperparameters for a group, whatever the step and the group say.
   *
   * @param group its name
   * @param hyperparameters all of them, in the rule's order, the learning rate too
   */
  public RuleSettings withGroup(String group, double[] hyperparameters) {
    if (hyperparameters.length != values.length) {
      throw new IllegalArgumentException(
          "group "
              + group
              + " has "
              + hyperparameters.length
              + " hyperparameters, expected "
              + String.join(", ", rule.hyperparameters()));
    }
    Map<String, double[]> more = new HashMap<>(ofGroups);
    more.put(group, hyperparameters.clone());
    return new RuleSettings(rule, values, Map.copyOf(more));
  }

  /** Whether a group has hyperparameters of its own here. */
  public boolean has(String group) {
    return ofGroups.containsKey(group);
  }

  /**
   * A value.
   *
   * @throws IllegalArgumentException if the rule has none of that name
   */
  public double get(String name) {
    return values[index(name)];
  }

  /** The rule that this sets. */
  public UpdateRule rule() {
    return rule;
  }

  /**
   * The hyperparameters of a group in the order of {@link UpdateRule#hyperparameters()}.
   *
   * @param learningRate the step's learning rate before the group's scale
   * @param group whose own values beat these
   * @throws IllegalArgumentException naming the value that is out of its bounds
   */
  public double[] hyperparameters(double learningRate, ParameterGroup group) {
    double[] given = ofGroups.get(group.name());
    if (given != null) {
      rule.requireBounds(given);
      return given.clone();
    }
    double[] own = values.clone();
    own[index(LEARNING_RATE)] = learningRate * group.learningRateScale();
    int decay = index(WEIGHT_DECAY);
    own[decay] = group.weightDecay().orElse(own[decay]);
    rule.requireBounds(own);
    return own;
  }

  @Override
  public String toString() {
    StringBuilder text = new StringBuilder(rule.name());
    for (int i = 0; i < values.length; i++) {
      text.append(' ').append(rule.hyperparameters().get(i)).append('=').append(values[i]);
    }
    return text.toString();
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
