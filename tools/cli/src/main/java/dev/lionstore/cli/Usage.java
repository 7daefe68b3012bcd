package dev.lionstore.cli;

import java.util.List;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/** What is wrong with the words of a command line. */
final class Usage {
  /** A place in the text of a rule, and what is wrong there, whichever option named the text. */
  private static final Pattern IN_TEXT =
      Pattern.compile(
          "(?:Invalid value for (?:option '.*?'|positional parameter at index .*?)(?: \\(.*?\\))?: )?"
              + "(.+:[1-9][0-9]*:[1-9][0-9]*: .+)");

  private Usage() {}

  /** Makes something of options' values; what it refuses is a usage error. */
  static <T> T of(CommandSpec command, Supplier<T> values) {
    try {
      return values.get();
    } catch (IllegalArgumentException e) {
      throw new ParameterException(command.commandLine(), e.getMessage(), e);
    }
  }

  /** Checks options' values; what it refuses is a usage error. */
  static void require(CommandSpec command, Runnable check) {
    of(
        command,
        () -> {
          check.run();
          return check;
        });
  }

  /** Refuses a count below 1. */
  static void requirePositive(CommandSpec command, String option, long value) {
    if (value < 1) {
      throw new ParameterException(
          command.commandLine(), option + " is " + value + ", expected at least 1");
    }
  }

  /** The line for a usage error, with where help is, or with the place that is wrong. */
  static String line(ParameterException error) {
    Matcher inText = IN_TEXT.matcher(String.valueOf(error.getMessage()));
    if (inText.matches()) {
      return ErrorLine.of(inText.group(1));
    }
    String command = error.getCommandLine().getCommandSpec().qualifiedName();
    return ErrorLine.of(new ParameterException(error.getCommandLine(), text(error)))
        + " (see "
        + command
        + " --help)";
  }

  private static String text(ParameterException error) {
    return error instanceof UnmatchedArgumentException unmatched
        ? text(unmatched)
        : plain(String.valueOf(error.getMessage()));
  }

  /** What picocli says, the word first that the user can look for. */
  private static String plain(String message) {
    return message
        .replaceFirst("^Invalid value for positional parameter at index .*? \\((.*?)\\): ", "$1: ")
        .replaceFirst("^Invalid value for option '(.*?)'(?: \\(.*?\\))?: ", "$1: ")
        .replaceFirst(
            "^Missing required parameter for option '(.*?)' \\((.*?)\\)$",
            "$1 needs a value: $1 $2")
        .replaceFirst(
            "^Error: Missing required argument\\(s\\): ", "these options come together: missing ")
        .replaceFirst(
            "^option '(.*?)' \\(.*?\\) should be specified only once$", "$1 is given twice")
        .replaceFirst("^Missing required", "missing");
  }

  private static String text(UnmatchedArgumentException error) {
    String word = "'" + error.getUnmatched().getFirst() + "'";
    if (error.isUnknownOption()) {
      return "unknown option " + word + meant(error.getSuggestions());
    }
    boolean isCommand = !error.getCommandLine().getSubcommands().isEmpty();
    return isCommand
        ? "unknown command " + word + meant(error.getSuggestions())
        : "unexpected argument " + word;
  }

  private static String meant(List<String> suggestions) {
    return suggestions.isEmpty() ? "" : "; did you mean " + String.join(" or ", suggestions) + "?";
  }
}
