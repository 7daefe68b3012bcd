package dev.lionstore.benchmarks;

import java.io.IOException;
import java.io.PrintStream;
import java.util.Optional;
import joptsimple.OptionException;
import joptsimple.OptionParser;
import joptsimple.OptionSet;
import joptsimple.OptionSpec;

/** The command lines of benchmarks that have few options: numbers and help. */
final class Options {
  private final OptionParser parser = new OptionParser();

  Options() {
    parser.accepts("help", "print this");
  }

  OptionParser parser() {
    return parser;
  }

  /** A whole number, at least 1. */
  OptionSpec<Integer> number(String name, String words, int otherwise) {
    return parser
        .accepts(name, words)
        .withRequiredArg()
        .ofType(Integer.class)
        .defaultsTo(otherwise);
  }

  /** What is measured with the options. */
  interface Main {
    void run(OptionSet given) throws IOException, InterruptedException;
  }

  /** Gives the exit code: 1 for a failure, 2 for wrong options. */
  int run(PrintStream out, PrintStream err, String[] arguments, Main main)
      throws InterruptedException {
    try {
      Optional<OptionSet> given = parse(out, arguments);
      if (given.isPresent()) {
        main.run(given.get());
      }
      return 0;
    } catch (OptionException | IllegalArgumentException e) {
      err.println("benchmark: " + e.getMessage());
      return 2;
    } catch (IOException e) {
      err.println("benchmark: " + e.getMessage());
      return 1;
    }
  }

  private Optional<OptionSet> parse(PrintStream out, String... arguments) throws IOException {
    OptionSet given = parser.parse(arguments);
    if (given.has("help")) {
      parser.printHelpOn(out);
      return Optional.empty();
    }
    if (!given.nonOptionArguments().isEmpty()) {
      throw new IllegalArgumentException("unexpected " + given.nonOptionArguments());
    }
    for (OptionSpec<?> option : given.specs()) {
      for (Object value : given.valuesOf(option)) {
        if (value instanceof Integer number && number < 1) {
          throw new IllegalArgumentException(
              "--" + option.options().getFirst() + " is " + number + ", expected 1 or more");
        }
      }
    }
    return Optional.of(given);
  }
}
