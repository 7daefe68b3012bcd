package dev.lionstore.measure.timing;

import java.io.IOException;
import java.time.Duration;
import java.util.Arrays;

/**
 * A task measured in pairs with the roof: both meet the same noise, and the median of the pairs'
 * ratios drops the pairs in which only one was disturbed.
 *
 * @param name of the task
 * @param share the roof's time divided by the task's, one per pair, ascending
 * @param taskNanos the task's times, ascending
 * @param roofNanos the roof's times, ascending
 */
public record PairedTimes(String name, double[] share, long[] taskNanos, long[] roofNanos) {
  /** Measures pairs; which of the two comes first alternates. */
  public static PairedTimes measure(TimedTask roof, TimedTask task, int pairs)
      throws IOException, InterruptedException {
    return measure(roof, task, pairs, pairs, Duration.ZERO);
  }

  /**
   * Measures as many pairs as there is time for.
   *
   * @param least pairs, however long they take
   * @param most pairs
   * @param time after which no pair beyond the least is begun
   */
  public static PairedTimes measure(
      TimedTask roof, TimedTask task, int least, int most, Duration time)
      throws IOException, InterruptedException {
    long[] taskNanos = new long[most];
    long[] roofNanos = new long[most];
    long end = System.nanoTime() + time.toNanos();
    int pairs = 0;
    for (; pairs < most && (pairs < least || System.nanoTime() - end < 0); pairs++) {
      if (pairs % 2 == 0) {
        roofNanos[pairs] = roof.nanos();
        taskNanos[pairs] = task.nanos();
      } else {
        taskNanos[pairs] = task.nanos();
        roofNanos[pairs] = roof.nanos();
      }
    }
    return of(task.name(), Arrays.copyOf(roofNanos, pairs), Arrays.copyOf(taskNanos, pairs));
  }

  /** Compares times of the same length, of which those at the same index are a pair. */
  public static PairedTimes of(String name, long[] roof, long[] task) {
    double[] share = new double[roof.length];
    Arrays.setAll(share, i -> (double) roof[i] / task[i]);
    long[] taskNanos = task.clone();
    long[] roofNanos = roof.clone();
    Arrays.sort(share);
    Arrays.sort(taskNanos);
    Arrays.sort(roofNanos);
    return new PairedTimes(name, share, taskNanos, roofNanos);
  }

  /** The share of the roof that a fraction of the pairs stayed below. */
  public double share(double fraction) {
    return share[index(fraction)];
  }

  /**
   * The roof's shortest time divided by the task's: what a machine on which others work would give
   * undisturbed, if passes are short and pairs many.
   */
  public double shareOfShortest() {
    return (double) roofNanos[0] / taskNanos[0];
  }

  /** The task's median time, in nanoseconds. */
  public long medianNanos() {
    return taskNanos[index(0.5)];
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
