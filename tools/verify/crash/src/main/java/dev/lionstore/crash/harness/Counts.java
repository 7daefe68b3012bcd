package dev.lionstore.crash.harness;

import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** What was done; not thread-safe. */
public final class Counts {
  private final Map<String, Long> counts = new TreeMap<>();
  private static final String CHECKED = "states-compared";
  private static final String FINISHED = "steps-finished-by-recovery-or-unacknowledged";
  private static final String KILLS = "kills";

  public void killed(String kind) {
    add(KILLS, 1);
    add(KILLS + "-" + kind.toLowerCase(java.util.Locale.ROOT).replace('_', '-'), 1);
  }

  public void checked(boolean finishedStep) {
    add(CHECKED, 1);
    if (finishedStep) {
      add(FINISHED, 1);
    }
  }

  /** Adds what another one has counted. */
  public void add(Counts other) {
    other.counts.forEach(this::add);
  }

  /** Counts so many more of something. */
  public void add(String name, long more) {
    counts.merge(name, more, Long::sum);
  }

  public long kills() {
    return counts.getOrDefault(KILLS, 0L);
  }

  /** As {@link #toString} wrote it. */
  public static Counts parse(String line) {
    Counts tally = new Counts();
    for (String entry : line.strip().split(" ", -1)) {
      int equals = entry.indexOf('=');
      if (equals > 0) {
        tally.add(entry.substring(0, equals), Long.parseLong(entry.substring(equals + 1)));
      }
    }
    return tally;
  }

  @Override
  public String toString() {
    return counts.entrySet().stream()
        .map(entry -> entry.getKey() + "=" + entry.getValue())
        .collect(Collectors.joining(" "));
  }
}
