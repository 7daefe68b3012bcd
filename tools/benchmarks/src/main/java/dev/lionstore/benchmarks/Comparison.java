package dev.lionstore.benchmarks;

import java.io.IOException;
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
record Comparison(String name, double[] share, long[] subjectNanos, long[] roofNanos) {
  /** Measures pairs; which of the two comes first alternates. */
  static Comparison measure(Subject roof, Subject subject, int pairs)
      throws IOException, InterruptedException {
    long[] subjectNanos = new long[pairs];
    long[] roofNanos = new long[pairs];
    for (int i = 0; i < pairs; i++) {
      if (i % 2 == 0) {
        roofNanos[i] = roof.nanos();
        subjectNanos[i] = subject.nanos();
      } else {
        subjectNanos[i] = subject.nanos();
        roofNanos[i] = roof.nanos();
      }
    }
    return of(subject.name(), roofNanos, subjectNanos);
  }

  /** Compares times of the same length, of which those at the same index are a pair. */
  static Comparison of(String name, long[] roof, long[] subject) {
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
  double share(double fraction) {
    return share[index(fraction)];
  }

  /**
   * The roof's shortest time divided by the subject's: what a machine on which others work would
   * give undisturbed, if passes are short and pairs many.
   */
  double shareOfShortest() {
    return (double) roofNanos[0] / subjectNanos[0];
  }

  /** The subject's median time, in nanoseconds. */
  long medianNanos() {
    return subjectNanos[index(0.5)];
  }

  /** The roof's median time, in nanoseconds. */
  long medianRoofNanos() {
    return roofNanos[index(0.5)];
  }

  private int index(double fraction) {
    return (int) Math.round(fraction * (share.length - 1));
  }
}
