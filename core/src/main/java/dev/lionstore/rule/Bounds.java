package dev.lionstore.rule;

/** What every rule asks of its hyperparameters; an error names the one that is out of bounds. */
final class Bounds {
  private Bounds() {}

  static double requireBeta(String name, double value) {
    if (!(value >= 0 && value < 1)) {
      throw new IllegalArgumentException(
          name + " is " + value + ", expected 0 <= " + name + " < 1");
    }
    return value;
  }

  static double requireNonNegative(String name, double value) {
    if (!(value >= 0 && value < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException(name + " is " + value + ", expected a finite number >= 0");
    }
    return value;
  }

  /** Decoupled weight decay must not turn weights around. */
  static void requireDecay(double learningRate, double weightDecay) {
    if (!(learningRate * weightDecay < 1)) {
      throw new IllegalArgumentException(
          "learning rate "
              + learningRate
              + " x weight decay "
              + weightDecay
              + " is "
              + learningRate * weightDecay
              + ", expected less than 1");
    }
  }

  static float requireFloat(String name, double value) {
    float rounded = (float) value;
    if (!Float.isFinite(rounded)) {
      throw new IllegalArgumentException(name + " " + value + " is beyond float32");
    }
    return rounded;
  }
}
