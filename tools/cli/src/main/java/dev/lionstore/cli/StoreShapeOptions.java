package dev.lionstore.cli;

import dev.lionstore.GradientPlane;
import dev.lionstore.audit.AuditedRule;
import dev.lionstore.audit.Moments;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** What decides how large a store is, beside the model. */
final class StoreShapeOptions {
  @Option(
      names = "--rule",
      paramLabel = "lion|adamw",
      converter = Converters.OfAuditedRule.class,
      description = "The rule of Lionstore's store (default: audit shows both, plan takes lion).")
  private @Nullable AuditedRule rule;

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
      paramLabel = "bf16|f32",
      converter = Converters.OfMoments.class,
      description = "How AdamW's moments are stored (default: f32). Lion's momentum is bf16.")
  private @Nullable Moments moments;

  /**
   * The rules, the one asked for alone or all.
   *
   * @throws IllegalArgumentException if moments are given for Lion alone
   */
  List<AuditedRule> rules() {
    if (rule == AuditedRule.LION && moments != null) {
      throw new IllegalArgumentException(
          "--moments is of AdamW; Lion's momentum is bf16, leave it out");
    }
    return rule == null ? List.of(AuditedRule.values()) : List.of(rule);
  }

  Optional<GradientPlane> gradientPlane() {
    return Optional.ofNullable(gradientPlane);
  }

  Moments moments() {
    return moments == null ? Moments.F32 : moments;
  }
}
