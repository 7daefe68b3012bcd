package dev.lionstore.cli;

import dev.lionstore.GradientPlane;
import dev.lionstore.checkpoint.TensorRules;
import dev.lionstore.rule.StateType;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What decides how large a store is, beside the model. */
final class StoreShapeOptions {
  @Option(
      names = "--rule",
      paramLabel = "NAME|FILE",
      converter = Converters.OfRule.class,
      description =
          "The rule of Lionstore's store, as of import (default: audit shows lion and adamw, plan"
              + " takes lion; both take lion beside --rule-for).")
  private @Nullable UpdateRule rule;

  @Mixin private RuleForOption others = new RuleForOption();

  @Option(
      names = "--gradient-plane",
      paramLabel = "none|bf16|f32",
      converter = Converters.OfGradientPlane.class,
      description =
          "Which gradients the store keeps (default: a store's own; bf16 for a BF16 model, a"
              + " configuration or a count; else f32).")
  private @Nullable GradientPlane gradientPlane;

  @Option(
      names = "--moments",
      paramLabel = "f32|bf16|8bit",
      converter = Converters.OfMoments.class,
      description =
          "How the state of --rule is stored (default: as its text says; adamw's moments are f32,"
              + " lion's momentum is bf16). Without --rule and --rule-for it is of adamw.")
  private @Nullable StateType moments;

  /**
   * The rules, the one asked for alone or the two that most train with.
   *
   * @throws IllegalArgumentException if moments are given for a rule that has none
   */
  List<TensorRules> rules() {
    if (rule == null && others.byName().isEmpty()) {
      return List.of(
          TensorRules.of(UpdateRules.LION), TensorRules.of(stored(UpdateRules.required("adamw"))));
    }
    UpdateRule own = Objects.requireNonNullElse(rule, UpdateRules.LION);
    if (own.statePlanes().isEmpty() && moments != null) {
      throw new IllegalArgumentException("--moments: rule " + own.name() + " has no state");
    }
    return List.of(new TensorRules(stored(own), others.byName()));
  }

  private UpdateRule stored(UpdateRule asWritten) {
    StateType type = moments;
    return type == null ? asWritten : asWritten.withState(type);
  }

  Optional<GradientPlane> gradientPlane() {
    return Optional.ofNullable(gradientPlane);
  }
}
