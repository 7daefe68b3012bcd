package dev.lionstore;

import java.util.OptionalDouble;

/**
 * Tensors that share hyperparameters. A group's own value beats the one that a step is called with.
 *
 * @param name how the group is called; the group without rules of its own is {@link #DEFAULT_NAME}
 * @param learningRateScale what the step's learning rate is multiplied with; finite, at least 0
 * @param weightDecay the group's own decoupled weight decay λ, if it has one; finite, at least 0
 */
public record ParameterGroup(String name, double learningRateScale, OptionalDouble weightDecay) {
  /** The name of the group that takes every tensor that no other group claims. */
  public static final String DEFAULT_NAME = "default";

  /** Validates. */
  public ParameterGroup {
    if (name.isEmpty()) {
      throw new IllegalArgumentException("a parameter group's name is empty");
    }
    requireFactor(name, "learning-rate scale", learningRateScale);
    weightDecay.ifPresent(decay -> requireFactor(name, "weight decay", decay));
  }

  /** The group that adds nothing of its own. */
  public static ParameterGroup ofDefaults() {
    return new ParameterGroup(DEFAULT_NAME, 1, OptionalDouble.empty());
  }

  private static void requireFactor(String group, String what, double value) {
    if (!(value >= 0 && value < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException(
          "group " + group + ": " + what + " is " + value + ", expected a finite number >= 0");
    }
  }
}
