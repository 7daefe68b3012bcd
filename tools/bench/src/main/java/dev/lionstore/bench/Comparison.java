package dev.lionstore.bench;

import java.io.IOException;
import java.time.Duration;
import java.util.Arrays;

/**
 * A subject measured in pairs with the roof: both meet the same noise, and the median of the pairs'
 * ratios drops the pairs in which only one was disturbed.
 *
 * @param name of the subject
 * @param share the roof's time divided by the subject's, one per pair, ascending
 * @param subjectNanos the subject's times, ascending
 * @param roofNanos the roof's times, ascending
 */
public record Comparison(String name, double[] share, long[] subjectNanos, long[] roofNanos) {
  /** Measures pairs; which of the two comes first alternates. */
  public static Comparison measure(Subject roof, Subject subject, int pairs)
      throws IOException, InterruptedException {
    return measure(roof, subject, pairs, pairs, Duration.ZERO);
  }

  /**
   * Measures as many pairs as there is time for.
   *
   * @param least pairs, however long they take
   * @param most pairs
   * @param time after which no pair beyond the least is begun
   */
  public static Comparison measure(
      Subject roof, Subject subject, int least, int most, Duration time)
      throws IOException, InterruptedException {
    long[] subjectNanos = new long[most];
    long[] roofNanos = new long[most];
    long end = System.nanoTime() + time.toNanos();
    int pairs = 0;
    for (; pairs < most && (pairs < least || System.nanoTime() - end < 0); pairs++) {
      if (pairs % 2 == 0) {
        roofNanos[pairs] = roof.nanos();
        subjectNanos[pairs] = subject.nanos();
      } else {
        subjectNanos[pairs] = subject.nanos();
        roofNanos[pairs] = roof.nanos();
      }
    }
    return of(subject.name(), Arrays.copyOf(roofNanos, pairs), Arrays.copyOf(subjectNanos, pairs));
  }

  /** Compares times of the same length, of which those at the same index are a pair. */
  public static Comparison of(String name, long[] roof, long[] subject) {
    double[] share = new double[roof.length];
    Arrays.setAll(share, i -> (double) roof[i] / subject[i]);
    long[] subjectNanos = subject.clone();
    long[] roofNanos = roof.clone();
    Arrays.sort(share);
    Arrays.sort(subjectNanos);
    Arrays.sort(roofNanos);
    return new Comparison(name, share, subjectNanos, roofNanos);
  }

  /** The share of the roof that a fraction of the pairs stayed below. */
  public double share(double fraction) {
    return share[index(fraction)];
  }

  /**
   * The roof's shortest time divided by the subject's: what a machine on which others work would
   * give undisturbed, if passes are short and pairs many.
   */
  public double shareOfShortest() {
    return (double) roofNanos[0] / subjectNanos[0];
  }

  /** The subject's median time, in nanoseconds. */
  public long medianNanos() {
    return subjectNanos[index(0.5)];
  }

  /** How many pairs there are. */
  public int pairs() {
    return share.length;
  }

  /** The roof's median time, in nanoseconds. */
  public long medianRoofNanos() {
    return roofNanos[index(0.5)];
  }

  private int index(double fraction) {
    return (int) Math.round(fraction * (share.length - 1));
  }
}
