package dev.lionstore.cli;

import dev.lionstore.checkpoint.TensorRules;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code --rule NAME|FILE} and {@code --rule-for}: of a store that is made. */
final class RuleOption {
  @Option(
      names = "--rule",
      paramLabel = "NAME|FILE",
      converter = Converters.OfRule.class,
      description =
          "The update rule: a name that lionstore rule list shows, or a file with a rule of your own,"
              + " for instance ./my.rule (default: lion).")
  private @Nullable UpdateRule rule;

  @Mixin private RuleForOption others = new RuleForOption();

  /** The one asked for, or Lion. */
  UpdateRule rule() {
    return asked().orElse(UpdateRules.LION);
  }

  /** The one asked for. */
  Optional<UpdateRule> asked() {
    return Optional.ofNullable(rule);
  }

  /** The rules of tensors by their names. */
  List<TensorRules.ByName> byName() {
    return others.byName();
  }

  /** Which rule steps which tensors. */
  TensorRules rules() {
    return new TensorRules(rule(), byName());
  }
}
