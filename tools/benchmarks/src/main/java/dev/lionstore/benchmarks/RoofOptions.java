package dev.lionstore.benchmarks;

import dev.lionstore.kernel.DeviceOptions;
import dev.lionstore.store.StoreOptions;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import joptsimple.OptionParser;
import joptsimple.OptionSet;
import joptsimple.OptionSpec;
import joptsimple.OptionSpecBuilder;

/**
 * What {@link RoofBenchmark} is called with.
 *
 * @param parameters how many there are
 * @param threads that pass over them
 * @param pairs of measurements per subject
 * @param directory where mapped files lie; without one the memory is anonymous
 * @param backend what is measured
 * @param format of the result
 */
record RoofOptions(
    long parameters,
    int threads,
    int pairs,
    Optional<Path> directory,
    Backend backend,
    Format format) {
  /**
   * What is measured.
   *
   * @param name as the store is told
   * @param memory how a device reaches the state
   */
  record Backend(String name, DeviceOptions.Memory memory) {
    /** A store's options for it. */
    StoreOptions options(int threads) {
      return StoreOptions.defaults()
          .withBackend(name)
          .withThreads(threads)
          .withDevice(DeviceOptions.defaults().withMemory(memory));
    }
  }

  /** How the result is printed. */
  enum Format {
    TABLE,
    JSON
  }

  /** Parses; empty if help was asked for and given. */
  static Optional<RoofOptions> parse(String... arguments) throws IOException {
    OptionParser parser = new OptionParser();
    OptionSpec<Integer> mebi =
        parser
            .accepts("size", "parameters, in units of 1048576")
            .withRequiredArg()
            .ofType(Integer.class)
            .defaultsTo(256);
    OptionSpec<Integer> threads =
        parser
            .accepts("threads", "that pass over them")
            .withRequiredArg()
            .ofType(Integer.class)
            .defaultsTo(Runtime.getRuntime().availableProcessors());
    OptionSpec<Integer> pairs =
        parser
            .accepts("pairs", "of measurements per subject")
            .withRequiredArg()
            .ofType(Integer.class)
            .defaultsTo(41);
    OptionSpec<String> directory =
        parser
            .accepts(
                "directory",
                "map files here and measure a store's whole step, too;"
                    + " without it: anonymous memory, kernel alone")
            .withRequiredArg();
    OptionSpec<String> backend =
        parser
            .accepts("backend", "vector, or opencl[:device], which needs --directory")
            .withRequiredArg()
            .defaultsTo("vector");
    OptionSpec<DeviceOptions.Memory> memory =
        parser
            .accepts("memory", "how a device reaches the state")
            .withRequiredArg()
            .ofType(DeviceOptions.Memory.class)
            .defaultsTo(DeviceOptions.Memory.AUTO);
    OptionSpecBuilder json = parser.accepts("json", "print JSON");
    OptionSpecBuilder help = parser.accepts("help", "print this");
    OptionSet given = parser.parse(arguments);
    if (given.has(help)) {
      parser.printHelpOn(System.out);
      return Optional.empty();
    }
    if (!given.nonOptionArguments().isEmpty()) {
      throw new IllegalArgumentException("unexpected " + given.nonOptionArguments());
    }
    return Optional.of(
        new RoofOptions(
            (long) positive("size", given.valueOf(mebi)) << 20,
            positive("threads", given.valueOf(threads)),
            positive("pairs", given.valueOf(pairs)),
            Optional.ofNullable(given.valueOf(directory)).map(Path::of),
            new Backend(given.valueOf(backend), given.valueOf(memory)),
            given.has(json) ? Format.JSON : Format.TABLE));
  }

  private static int positive(String name, int value) {
    if (value <= 0) {
      throw new IllegalArgumentException("--" + name + " is " + value + ", expected 1 or more");
    }
    return value;
  }
}
