package dev.lionstore.rule;

import dev.lionstore.formula.Hyperparameter;
import java.util.ArrayList;
import java.util.List;

/** Settings of any rule that make all of its formula count. */
public final class AnySettings {
  private AnySettings() {}

  /** With weight decay, if the rule has it; then with each of the choices that it offers. */
  public static List<RuleSettings> of(UpdateRule rule) {
    RuleSettings first = with(rule.settings(), RuleSettings.WEIGHT_DECAY, 0.5);
    List<RuleSettings> all = new ArrayList<>(List.of(first));
    for (Hyperparameter h : rule.declared()) {
      for (double choice : h.bound().choices()) {
        if (choice != h.value()) {
          all.add(first.with(h.name(), choice));
        }
      }
    }
    return all;
  }

  /** The same with another value, if the rule has that and takes it. */
  public static RuleSettings with(RuleSettings settings, String name, double value) {
    boolean takes =
        settings.rule().declared().stream()
            .anyMatch(h -> h.name().equals(name) && h.bound().holds(value));
    return takes ? settings.with(name, value) : settings;
  }

  /** Whether values of a plane can be negative. */
  public static boolean isSigned(Plane plane) {
    return plane.name().matches(".*(momentum|gradient).*");
  }
}
