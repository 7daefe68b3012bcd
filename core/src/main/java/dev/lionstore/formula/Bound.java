package dev.lionstore.formula;

import java.util.List;

/**
 * What a hyperparameter must be: a finite number in an interval, or one of a few.
 *
 * @param low the interval's lower end
 * @param lowOpen whether that itself is outside
 * @param high the upper end
 * @param highOpen whether that itself is outside
 * @param choices if not empty, the only values there are
 */
public record Bound(
    double low, boolean lowOpen, double high, boolean highOpen, List<Double> choices) {
  /** Any finite number. */
  public static final Bound FINITE =
      new Bound(Double.NEGATIVE_INFINITY, true, Double.POSITIVE_INFINITY, true, List.of());

  /** Copies the list. */
  public Bound {
    choices = List.copyOf(choices);
  }

  /**
   * Whether a value is within. Above an open lower end a value must stay when it is rounded to
   * float32: an ε that rounds to 0 would divide by it.
   */
  public boolean holds(double value) {
    return Double.isFinite(value)
        && (choices.isEmpty() || choices.contains(value))
        && (lowOpen ? value > low && (float) value > low : value >= low)
        && (highOpen ? value < high : value <= high);
  }

  /** What is expected of a hyperparameter, in words. */
  public String words(String name) {
    if (!choices.isEmpty()) {
      return "one of " + String.join(", ", choices.stream().map(Bound::number).toList());
    }
    boolean hasLow = low > Double.NEGATIVE_INFINITY;
    boolean hasHigh = high < Double.POSITIVE_INFINITY;
    if (hasLow && hasHigh) {
      return number(low) + sign("<", lowOpen) + name + sign("<", highOpen) + number(high);
    }
    if (hasLow) {
      return lowOpen && low == 0
          ? "a number > 0 within float32"
          : "a finite number" + sign(">", lowOpen) + number(low);
    }
    return hasHigh ? "a finite number" + sign("<", highOpen) + number(high) : "a finite number";
  }

  private static String sign(String sign, boolean open) {
    return " " + sign + (open ? " " : "= ");
  }

  private static String number(double value) {
    return new Node.Constant(value).text();
  }
}
