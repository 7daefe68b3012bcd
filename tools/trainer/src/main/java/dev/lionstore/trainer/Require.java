package dev.lionstore.trainer;

/** Argument checks that name the argument and its value. */
final class Require {
  private Require() {}

  static int atLeast(int minimum, String name, int value) {
    if (value < minimum) {
      throw new IllegalArgumentException(name + " is " + value + ", expected at least " + minimum);
    }
    return value;
  }

  static double between(double low, double high, String name, double value) {
    if (!(value >= low && value <= high)) {
      throw new IllegalArgumentException(
          name + " is " + value + ", expected a number from " + low + " to " + high);
    }
    return value;
  }
}
