package dev.lionstore.benchmarks;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import joptsimple.OptionParser;
import joptsimple.OptionSet;
import joptsimple.OptionSpec;
import joptsimple.OptionSpecBuilder;

/**
 * What {@link DeviceBenchmark} is called with.
 *
 * @param device an index or a part of a name; empty for the first one
 * @param parameters how many there are
 * @param pairs of measurements per row
 * @param warmUp how long each row is repeated before it is measured, at least
 * @param directory where stores lie
 * @param python the interpreter that may have PyTorch
 * @param format of the result
 */
record DeviceBenchmarkOptions(
    String device,
    long parameters,
    int pairs,
    Duration warmUp,
    Path directory,
    String python,
    RoofOptions.Format format) {
  /** Two stores, and what makes them. */
  private static final int DIRECTORY_BYTES_PER_PARAMETER = 20;

  /** Parses; empty if help was asked for and given. */
  static Optional<DeviceBenchmarkOptions> parse(PrintStream out, String... arguments)
      throws IOException {
    OptionParser parser = new OptionParser();
    OptionSpec<String> device =
        parser
            .accepts("device", "its index, or a part of its name")
            .withRequiredArg()
            .defaultsTo("");
    OptionSpec<Integer> mebi = number(parser, "size", "parameters, in units of 1048576", 128);
    OptionSpec<Integer> pairs = number(parser, "pairs", "of measurements per row", 21);
    OptionSpec<Integer> warmUp =
        number(parser, "warm-up", "before each row, in milliseconds, at least", 1500);
    OptionSpec<String> directory =
        parser
            .accepts(
                "directory",
                "where stores lie; without it /dev/shm, or java.io.tmpdir if that is"
                    + " too small")
            .withRequiredArg();
    OptionSpec<String> python =
        parser
            .accepts("python", "interpreter that may have PyTorch")
            .withRequiredArg()
            .defaultsTo("python3");
    OptionSpecBuilder json = parser.accepts("json", "print JSON");
    OptionSpecBuilder help = parser.accepts("help", "print this");
    OptionSet given = parser.parse(arguments);
    if (given.has(help)) {
      parser.printHelpOn(out);
      return Optional.empty();
    }
    if (!given.nonOptionArguments().isEmpty()) {
      throw new IllegalArgumentException("unexpected " + given.nonOptionArguments());
    }
    long parameters = (long) atLeast(1, "size", given.valueOf(mebi)) << 20;
    return Optional.of(
        new DeviceBenchmarkOptions(
            given.valueOf(device),
            parameters,
            atLeast(1, "pairs", given.valueOf(pairs)),
            Duration.ofMillis(atLeast(0, "warm-up", given.valueOf(warmUp))),
            given.has(directory) ? Path.of(given.valueOf(directory)) : place(parameters),
            given.valueOf(python),
            given.has(json) ? RoofOptions.Format.JSON : RoofOptions.Format.TABLE));
  }

  private static OptionSpec<Integer> number(
      OptionParser parser, String name, String words, int otherwise) {
    return parser
        .accepts(name, words)
        .withRequiredArg()
        .ofType(Integer.class)
        .defaultsTo(otherwise);
  }

  private static int atLeast(int least, String name, int value) {
    if (value < least) {
      throw new IllegalArgumentException(
          "--" + name + " is " + value + ", expected " + least + " or more");
    }
    return value;
  }

  private static Path place(long parameters) throws IOException {
    Path memory = Path.of("/dev/shm");
    return Files.isWritable(memory)
            && memory.toFile().getUsableSpace() > parameters * DIRECTORY_BYTES_PER_PARAMETER
        ? memory
        : Path.of(System.getProperty("java.io.tmpdir"));
  }
}
