package dev.lionstore.measure.disk;

import java.nio.file.Path;
import java.util.List;

/**
 * What {@link SnapshotBenchmark} is called with.
 *
 * @param store the folder in which stores are made
 * @param directory the folder on the disk that is measured
 * @param stateBytes how large a state is, without gradients
 * @param pairs of measurements per row
 * @param memoryBytes what background snapshots may take, each
 * @param iterationSeconds what forward and backward take, each
 */
record SnapshotBenchmarkOptions(
    Path store,
    Path directory,
    long stateBytes,
    int pairs,
    List<Long> memoryBytes,
    List<Double> iterationSeconds) {
  /** Weights, remainder and momentum. */
  private static final int BYTES_PER_PARAMETER = 6;

  private static final double GIGA = 1e9;

  /** Copies the lists and refuses what is out of its bounds. */
  SnapshotBenchmarkOptions {
    memoryBytes = List.copyOf(memoryBytes);
    iterationSeconds = List.copyOf(iterationSeconds);
    require("size", stateBytes >= BYTES_PER_PARAMETER, stateBytes / GIGA, "more than 0");
    require("pairs", pairs >= 1, pairs, "1 or more");
    for (double seconds : iterationSeconds) {
      require("iteration-seconds", seconds >= 0 && seconds <= 3600, seconds, "0 to 3600");
    }
  }

  static void require(String name, boolean holds, Object found, String expected) {
    if (!holds) {
      throw new IllegalArgumentException("--" + name + " is " + found + ", expected " + expected);
    }
  }

  /** How many parameters have a state of that size. */
  long parameters() {
    return stateBytes / BYTES_PER_PARAMETER;
  }
}
