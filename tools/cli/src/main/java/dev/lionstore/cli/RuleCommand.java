package dev.lionstore.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code lionstore rule list|show|check}. */
@Command(
    name = "rule",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    synopsisSubcommandLabel = "list|show|check",
    subcommands = {RuleListCommand.class, RuleShowCommand.class, RuleCheckCommand.class},
    description = "Shows the update rules, and checks one of your own.")
final class RuleCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(), "no command given, expected rule list, rule show or rule check");
  }
}
