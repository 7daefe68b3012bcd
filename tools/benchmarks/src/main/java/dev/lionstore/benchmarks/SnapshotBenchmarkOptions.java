package dev.lionstore.benchmarks;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import joptsimple.OptionParser;
import joptsimple.OptionSet;
import joptsimple.OptionSpec;
import joptsimple.OptionSpecBuilder;

/**
 * What {@link SnapshotBenchmark} is called with.
 *
 * @param store the folder in which stores are made
 * @param directory the folder on the disk that is measured
 * @param stateBytes how large a state is, without gradients
 * @param pairs of measurements per row
 * @param memoryBytes what background snapshots may take, each
 * @param iterationSeconds what forward and backward take, each
 * @param format of the result
 */
record SnapshotBenchmarkOptions(
    Path store,
    Path directory,
    long stateBytes,
    int pairs,
    List<Long> memoryBytes,
    List<Double> iterationSeconds,
    RoofOptions.Format format) {
  /** Weights, remainder and momentum. */
  private static final int BYTES_PER_PARAMETER = 6;

  /** What a snapshot needs beside room for every block. */
  private static final long MARGIN_BYTES = 64L << 20;

  private static final double GIGA = 1e9;
  private static final String STATE = "state";
  private static final Pattern BYTES = Pattern.compile("([0-9]{1,9})([KMG]?)");

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

  private static void require(String name, boolean holds, Object found, String expected) {
    if (!holds) {
      throw new IllegalArgumentException("--" + name + " is " + found + ", expected " + expected);
    }
  }

  /** How many parameters have a state of that size. */
  long parameters() {
    return stateBytes / BYTES_PER_PARAMETER;
  }

  /** Parses; empty if help was asked for and given. */
  static Optional<SnapshotBenchmarkOptions> parse(PrintStream out, String... arguments)
      throws IOException {
    OptionParser parser = new OptionParser();
    OptionSpec<String> store =
        parser.accepts("store", "where stores lie").withRequiredArg().defaultsTo("/dev/shm");
    OptionSpec<String> directory =
        parser.accepts("directory", "a folder on the disk that is measured").withRequiredArg();
    OptionSpec<Double> size =
        parser
            .accepts("size", "of the state, in GB")
            .withRequiredArg()
            .ofType(Double.class)
            .defaultsTo(8.0);
    OptionSpec<Integer> pairs =
        parser
            .accepts("pairs", "of measurements per row")
            .withRequiredArg()
            .ofType(Integer.class)
            .defaultsTo(3);
    OptionSpec<String> memory =
        parser
            .accepts("memory", "of snapshots beside training: bytes, K, M, G, or " + STATE)
            .withRequiredArg()
            .withValuesSeparatedBy(',')
            .defaultsTo("64M", STATE);
    OptionSpec<Double> seconds =
        parser
            .accepts("iteration-seconds", "what forward and backward take")
            .withRequiredArg()
            .ofType(Double.class)
            .withValuesSeparatedBy(',')
            .defaultsTo(5.0, 0.0);
    OptionSpecBuilder json = parser.accepts("json", "print JSON");
    OptionSpecBuilder help = parser.accepts("help", "print this");
    OptionSet given = parser.parse(arguments);
    if (given.has(help)) {
      parser.printHelpOn(out);
      return Optional.empty();
    }
    require("directory", given.has(directory), "missing", "a folder on the disk to be measured");
    if (!given.nonOptionArguments().isEmpty()) {
      throw new IllegalArgumentException("unexpected " + given.nonOptionArguments());
    }
    long state = Math.round(given.valueOf(size) * GIGA);
    return Optional.of(
        new SnapshotBenchmarkOptions(
            Path.of(given.valueOf(store)),
            Path.of(given.valueOf(directory)),
            state,
            given.valueOf(pairs),
            given.valuesOf(memory).stream().map(word -> bytes(word, state)).toList(),
            given.valuesOf(seconds),
            given.has(json) ? RoofOptions.Format.JSON : RoofOptions.Format.TABLE));
  }

  private static long bytes(String word, long state) {
    if (word.equals(STATE)) {
      return state + MARGIN_BYTES;
    }
    Matcher bytes = BYTES.matcher(word);
    require("memory", bytes.matches(), word, "such as 64M, 2G or " + STATE);
    int shift = 10 * " KMG".indexOf(bytes.group(2).isEmpty() ? " " : bytes.group(2));
    return Long.parseLong(bytes.group(1)) << shift;
  }
}
