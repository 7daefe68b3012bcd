package dev.lionstore.trainer;

import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * An update rule and its hyperparameters, as a run's position keeps them.
 *
 * @param rule its name
 * @param hyperparameters all but the learning rate, by their names
 */
public record Optimizer(String rule, SortedMap<String, Double> hyperparameters) {
  /** Refuses what is no rule or no hyperparameter of it. */
  public Optimizer {
    hyperparameters = new TreeMap<>(hyperparameters);
    settings(rule, hyperparameters);
  }

  /** What is set. */
  public static Optimizer of(RuleSettings settings) {
    SortedMap<String, Double> values = new TreeMap<>();
    for (String name : settings.rule().hyperparameters()) {
      if (!name.equals(RuleSettings.LEARNING_RATE)) {
        values.put(name, settings.get(name));
      }
    }
    return new Optimizer(settings.rule().name(), values);
  }

  /** The rule's settings. */
  RuleSettings settings() {
    return settings(rule, hyperparameters);
  }

  private static RuleSettings settings(String rule, SortedMap<String, Double> values) {
    UpdateRule named =
        UpdateRules.named(rule)
            .orElseThrow(() -> new IllegalArgumentException("rule " + rule + " is unknown"));
    RuleSettings settings = RuleSettings.defaults(named);
    for (String name : values.keySet()) {
      settings = settings.with(name, values.get(name));
    }
    return settings;
  }
}
