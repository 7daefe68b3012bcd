package dev.lionstore.crash.powerloss;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.OptionalLong;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

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
   * Every moment from one to another, and as many random ones, with random losses, as are missing
   * from the count; in the order of time.
   *
   * @param from entries of the log, inclusive
   * @param to entries of the log, inclusive
   */
  static List<CrashPoint> between(int from, int to, int count, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    List<CrashPoint> points = new ArrayList<>();
    int moments = to - from + 1;
    // A short form has not even every prefix: half of it is for the subsets then.
    int prefixes = Math.min(moments, Math.ceilDiv(count, 2));
    IntStream.range(0, prefixes)
        .map(i -> from + (int) ((long) i * (moments - 1) / Math.max(1, prefixes - 1)))
        .mapToObj(CrashPoint::prefix)
        .forEach(points::add);
    while (points.size() < count) {
      int entries = from + random.nextInt(moments);
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
