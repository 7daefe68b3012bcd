package dev.lionstore.opencl;

import dev.lionstore.ParameterGroup;
import dev.lionstore.formula.Hyperparameter;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.UpdateRule;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/** What a rule is compared with: settings that make all of its formula count. */
final class TellingSettings {
  /** What a step keeps of a momentum is called so, and is 0.9 where nothing is. */
  private static final List<String> KEPT_SHARES = List.of("beta1", "beta", "momentum");

  private static final double KEPT_SHARE = 0.9;
  private static final double LEARNING_RATE = 0.01;

  private TellingSettings() {}

  /** With weight decay, if the rule takes it; then with each of the choices that it offers. */
  static List<RuleSettings> of(UpdateRule rule, double weightDecay) {
    RuleSettings first = with(rule.settings(), RuleSettings.WEIGHT_DECAY, weightDecay);
    Set<RuleSettings> all = new LinkedHashSet<>(List.of(first));
    for (Hyperparameter h : rule.declared()) {
      for (double choice : h.bound().choices()) {
        if (choice != h.value()) {
          all.add(with(first, h.name(), choice));
        }
      }
    }
    return List.copyOf(all);
  }

  /** The same with another value, if the rule has that and takes it. */
  static RuleSettings with(RuleSettings settings, String name, double value) {
    if (!settings.rule().hyperparameters().contains(name)) {
      return settings;
    }
    try {
      RuleSettings changed = settings.with(name, value);
      requireTogether(changed);
      return changed;
    } catch (IllegalArgumentException e) {
      return settings; // out of a bound, or a rule requires more of its hyperparameters
    }
  }

  /** Hyperparameters with a learning rate of the test's, if the rule takes it. */
  static double[] hyperparameters(RuleSettings settings) {
    return requireTogether(with(settings, RuleSettings.LEARNING_RATE, LEARNING_RATE));
  }

  private static double[] requireTogether(RuleSettings settings) {
    double learningRate = settings.get(RuleSettings.LEARNING_RATE);
    return settings.hyperparameters(learningRate, ParameterGroup.ofDefaults());
  }

  /** Whether values of a plane can be negative. */
  static boolean isSigned(Plane plane) {
    return plane.name().contains("momentum") || plane.name().contains("gradient");
  }

  /** The gradient, over the momentum, at which they cancel. */
  static double cancelling(RuleSettings settings) {
    List<String> names = settings.rule().hyperparameters();
    double kept =
        KEPT_SHARES.stream()
            .filter(names::contains)
            .findFirst()
            .map(settings::get)
            .orElse(KEPT_SHARE);
    return -kept / (1 - kept);
  }
}
