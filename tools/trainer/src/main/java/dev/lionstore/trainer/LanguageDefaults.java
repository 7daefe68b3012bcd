package dev.lionstore.trainer;

import dev.lionstore.rule.AdamW;
import dev.lionstore.rule.Bf16Lion;
import dev.lionstore.rule.Lion;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.UpdateRule;
import java.util.List;

/**
 * What a small language model is trained with unless a user says otherwise. Each rule has its own:
 * for one that is not named here the compiler asks.
 *
 * @param settings with the betas for language
 * @param learningRates that a comparison tries
 * @param weightDecays that a comparison tries
 */
public record LanguageDefaults(
    RuleSettings settings, List<Double> learningRates, List<Double> weightDecays) {
  /** Those of a rule: β of Lion as its paper has it, AdamW's as language models are trained. */
  public static LanguageDefaults of(UpdateRule rule) {
    RuleSettings settings = RuleSettings.defaults(rule);
    return switch (rule) {
      case Lion _, Bf16Lion _ ->
          new LanguageDefaults(
              settings.with("beta1", 0.95).with("beta2", 0.98),
              List.of(3e-4, 1e-3, 3e-3),
              List.of(0.1, 1.0));
      case AdamW _ ->
          new LanguageDefaults(
              settings.with("beta2", 0.95), List.of(1e-3, 3e-3, 1e-2), List.of(0.01, 0.1));
    };
  }
}
