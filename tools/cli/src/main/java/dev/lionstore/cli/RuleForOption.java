package dev.lionstore.cli;

import dev.lionstore.checkpoint.TensorRules;
import java.util.List;
import picocli.CommandLine.Option;

/** {@code --rule-for REGEX=NAME|FILE}: of a store whose tensors have several rules. */
final class RuleForOption {
  @Option(
      names = "--rule-for",
      paramLabel = "REGEX=RULE",
      converter = Converters.OfRuleFor.class,
      description =
          "Another rule, a name or a file, for the tensors whose whole name matches, for instance"
              + " '.*(norm|embed).*=adamw'. May be repeated, the first that matches wins. Those of a"
              + " group that get another rule than the rest become a group called by it: adamw;"
              + " norms-adamw if they were of group norms.")
  private List<TensorRules.ByName> byName = List.of();

  List<TensorRules.ByName> byName() {
    return byName;
  }
}
