package dev.lionstore.measure.timing;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Tasks that are measured in turns, so that all of them meet the same noise; every other round goes
 * backwards.
 *
 * @param tasks what is measured
 * @param nanos the times of each task, one per round
 */
public record InterleavedTimes(List<TimedTask> tasks, long[][] nanos) {
  /** Measures rounds of all tasks. */
  public static InterleavedTimes measure(List<TimedTask> tasks, int rounds)
      throws IOException, InterruptedException {
    long[][] nanos = new long[tasks.size()][rounds];
    for (int round = 0; round < rounds; round++) {
      for (int i = 0; i < tasks.size(); i++) {
        int task = round % 2 == 0 ? i : tasks.size() - 1 - i;
        nanos[task][round] = tasks.get(task).nanos();
      }
    }
    return new InterleavedTimes(List.copyOf(tasks), nanos);
  }

  /** Which of the first tasks has the shortest median. */
  public int best(int candidates) {
    int best = 0;
    for (int i = 1; i < candidates; i++) {
      if (median(nanos[i]) < median(nanos[best])) {
        best = i;
      }
    }
    return best;
  }

  /** Some of the tasks beside one of them. */
  public List<PairedTimes> compare(int roof, int from, int to) {
    return IntStream.range(from, to)
        .mapToObj(i -> PairedTimes.of(tasks.get(i).name(), nanos[roof], nanos[i]))
        .toList();
  }

  public static long median(long... values) {
    long[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }
}
