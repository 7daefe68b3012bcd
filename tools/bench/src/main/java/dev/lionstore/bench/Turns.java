package dev.lionstore.bench;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Subjects that are measured in turns, so that all of them meet the same noise; every other round
 * goes backwards.
 *
 * @param subjects what is measured
 * @param nanos the times of each subject, one per round
 */
public record Turns(List<Subject> subjects, long[][] nanos) {
  /** Measures rounds of all subjects. */
  public static Turns measure(List<Subject> subjects, int rounds)
      throws IOException, InterruptedException {
    long[][] nanos = new long[subjects.size()][rounds];
    for (int round = 0; round < rounds; round++) {
      for (int i = 0; i < subjects.size(); i++) {
        int subject = round % 2 == 0 ? i : subjects.size() - 1 - i;
        nanos[subject][round] = subjects.get(subject).nanos();
      }
    }
    return new Turns(List.copyOf(subjects), nanos);
  }

  /** Which of the first subjects has the shortest median. */
  public int best(int candidates) {
    int best = 0;
    for (int i = 1; i < candidates; i++) {
      if (median(nanos[i]) < median(nanos[best])) {
        best = i;
      }
    }
    return best;
  }

  /** Some of the subjects beside one of them. */
  public List<Comparison> compare(int roof, int from, int to) {
    return IntStream.range(from, to)
        .mapToObj(i -> Comparison.of(subjects.get(i).name(), nanos[roof], nanos[i]))
        .toList();
  }

  public static long median(long... values) {
    long[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }
}
