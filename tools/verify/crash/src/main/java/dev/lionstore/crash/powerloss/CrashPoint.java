package dev.lionstore.crash.powerloss;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.OptionalLong;
import java.util.SplittableRandom;

/**
 * A moment at which the power is cut.
 *
 * @param entries of the log that the disk had been given by then
 * @param subset decides which writes since the last flush are lost, or in part; all are kept if
 *     empty
 */
record CrashPoint(int entries, OptionalLong subset) {

  /** A moment at which nothing is lost that the disk had been given. */
  static CrashPoint prefix(int entries) {
    return new CrashPoint(entries, OptionalLong.empty());
  }

  /**
   * Every moment, and as many random ones, with random losses, as are missing from the count; in
   * the order of time.
   *
   * @param moments entries of the log, ascending
   * @param lossy those of them at which several writes may be lost
   */
  static List<CrashPoint> choose(List<Integer> moments, List<Integer> lossy, int count, long seed) {
    List<CrashPoint> points = new ArrayList<>();
    // A short form has not even every prefix: half of it is for the subsets then.
    int prefixes = Math.min(moments.size(), Math.ceilDiv(count, 2));
    for (int i = 0; i < prefixes; i++) {
      int at = (int) ((long) i * (moments.size() - 1) / Math.max(1, prefixes - 1));
      points.add(prefix(moments.get(at)));
    }
    SplittableRandom random = new SplittableRandom(seed);
    while (points.size() < count && !lossy.isEmpty()) {
      int entries = lossy.get(random.nextInt(lossy.size()));
      points.add(new CrashPoint(entries, OptionalLong.of(random.nextLong())));
    }
    points.sort(Comparator.comparingInt(CrashPoint::entries));
    return points;
  }

  @Override
  public String toString() {
    return "the disk of the first "
        + entries
        + " entries"
        + (subset.isPresent() ? ", those since the last flush by seed " + subset.getAsLong() : "");
  }
}
