package dev.lionstore.measure.report;

/** Checks of what options are given. */
public final class Numbers {
  private Numbers() {}

  /**
   * The value of an option.
   *
   * @throws IllegalArgumentException if it is less
   */
  public static int atLeast(int least, String option, int value) {
    if (value < least) {
      throw new IllegalArgumentException(
          option + " is " + value + ", expected " + least + " or more");
    }
    return value;
  }
}
