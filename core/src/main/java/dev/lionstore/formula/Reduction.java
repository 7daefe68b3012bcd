package dev.lionstore.formula;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;

/** What makes one value of a tensor's elements; the sums are in double. */
public enum Reduction {
  /** The sum. */
  SUM,
  /** The sum divided by the number of elements. */
  MEAN,
  /** The square root of the sum of squares. */
  NORM,
  /** The largest; what is not a number is none. */
  MAX;

  /** What the language calls it. */
  public String word() {
    return name().toLowerCase(Locale.ROOT);
  }

  static Optional<Reduction> named(String word) {
    return Arrays.stream(values()).filter(each -> each.word().equals(word)).findFirst();
  }

  static String words() {
    return Arrays.stream(values()).map(Reduction::word).collect(Collectors.joining(", "));
  }

  /** The total of no elements. */
  public double none() {
    return this == MAX ? Double.NEGATIVE_INFINITY : 0;
  }

  /** A total with one more element. */
  public double with(double total, float value) {
    return switch (this) {
      case SUM, MEAN -> total + value;
      case NORM -> total + (double) value * value;
      case MAX -> joined(total, value);
    };
  }

  /** The total of two parts. */
  public double joined(double first, double second) {
    return this == MAX ? (second > first ? second : first) : first + second;
  }

  /**
   * What it is of all elements, rounded to float32 once.
   *
   * @param count of the elements
   */
  public float of(double total, long count) {
    return (float)
        switch (this) {
          case SUM, MAX -> total;
          case MEAN -> total / count;
          case NORM -> Math.sqrt(total);
        };
  }
}
