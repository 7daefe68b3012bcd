package dev.lionstore.cli;

import static java.util.Objects.requireNonNull;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import picocli.CommandLine.Model.OptionSpec;

class HelpTest {
  private static final Pattern ROW = Pattern.compile("(?m)^\\| `([a-z]+)([^`]*)` \\|(.*)\\|$");
  private static final Pattern OPTION = Pattern.compile("--[a-z0-9-]+");

  static Stream<String> commands() {
    return Main.commandLine().getSubcommands().keySet().stream();
  }

  private static List<OptionSpec> specs(String command) {
    return requireNonNull(Main.commandLine().getSubcommands().get(command))
        .getCommandSpec()
        .options();
  }

  private static Set<String> optionsOf(String command) {
    Set<String> names = new TreeSet<>();
    for (OptionSpec option : specs(command)) {
      names.addAll(List.of(option.names()));
    }
    return names;
  }

  @Test
  void theReadmeListsEveryCommandWithOptionsThatItHas() throws IOException {
    String readme = Files.readString(Path.of(System.getProperty("lionstore.root"), "README.md"));
    Set<String> listed = new TreeSet<>();
    for (Matcher row = ROW.matcher(readme); row.find(); ) {
      String command = row.group(1);
      listed.add(command);
      Matcher option = OPTION.matcher(row.group(2) + row.group(3));
      while (option.find()) {
        assertTrue(optionsOf(command).contains(option.group()), command + " " + option.group());
      }
    }
    assertEquals(new TreeSet<>(commands().toList()), listed);
  }

  @ParameterizedTest
  @MethodSource("commands")
  void helpFitsATerminalAndDescribesEveryOption(String command) {
    String help = Cli.result(command, "--help");
    assertTrue(help.startsWith("Usage: lionstore " + command), help);
    help.lines().forEach(line -> assertTrue(line.length() <= 80, line));
    for (OptionSpec option : specs(command)) {
      assertTrue(option.description().length > 0, option.longestName());
      String words = String.join(" ", option.description());
      boolean takesValue = option.arity().max() > 0 && !option.required();
      boolean saysDefault = words.toLowerCase(java.util.Locale.ROOT).contains("default");
      boolean isList = option.isMultiValue() || option.group() != null;
      boolean isOwnFile = option.longestName().equals("--position");
      assertTrue(!takesValue || saysDefault || isList || isOwnFile, option.longestName());
    }
  }

  @ParameterizedTest
  @MethodSource("commands")
  void everyCommandTellsTheVersion(String command) {
    assertTrue(Cli.result(command, "--version").startsWith("lionstore "));
  }
}
