package dev.lionstore.cli;

import dev.lionstore.rule.Lion;
import dev.lionstore.rule.UpdateRule;
import picocli.CommandLine.Option;

/** {@code --rule RULE}: of a store that is made. */
final class RuleOption {
  @Option(
      names = "--rule",
      paramLabel = "RULE",
      converter = Converters.OfRule.class,
      completionCandidates = Converters.OfRule.Names.class,
      description = "The update rule: ${COMPLETION-CANDIDATES} (default: lion).")
  UpdateRule rule = Lion.RULE;
}
