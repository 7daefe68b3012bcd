package dev.lionstore.trainer;

import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import java.util.List;

/**
 * What a small language model is trained with unless a user says otherwise.
 *
 * @param settings with the betas for language
 * @param learningRates that a comparison tries
 * @param weightDecays that a comparison tries
 */
public record LanguageDefaults(
    RuleSettings settings, List<Double> learningRates, List<Double> weightDecays) {
  private static final double USUAL_DECAY = 0.1;

  /** Rules that move every weight by the learning rate. */
  private static final List<String> OF_SIGNS =
      List.of("lion", "lion-f32", "lion-bf16", "cautious-lion", "tiger", "signum", "signsgd");

  /** Rules that divide by a second moment. */
  private static final List<String> OF_MOMENTS =
      List.of(
          "adamw",
          "adamw-bf16",
          "adam",
          "adamax",
          "nadam",
          "ademamix",
          "rmsprop",
          "cautious-adamw");

  /** Those of a rule: β of Lion as its paper has it, AdamW's as language models are trained. */
  public static LanguageDefaults of(UpdateRule rule) {
    RuleSettings settings = rule.settings();
    boolean isInTheBox = UpdateRules.named(rule.name()).filter(rule::equals).isPresent();
    if (isInTheBox && OF_SIGNS.contains(rule.name())) {
      boolean isLion =
          List.of("lion", "lion-f32", "lion-bf16", "cautious-lion").contains(rule.name());
      return new LanguageDefaults(
          isLion ? settings.with("beta1", 0.95).with("beta2", 0.98) : settings,
          List.of(3e-4, 1e-3, 3e-3),
          List.of(0.1, 1.0));
    }
    if (isInTheBox && OF_MOMENTS.contains(rule.name())) {
      boolean has = rule.hyperparameters().contains("beta2");
      return new LanguageDefaults(
          has ? settings.with("beta2", 0.95) : settings,
          List.of(1e-3, 3e-3, 1e-2),
          List.of(0.01, 0.1));
    }
    double usual = settings.get(RuleSettings.LEARNING_RATE);
    double decay = settings.get(RuleSettings.WEIGHT_DECAY);
    return new LanguageDefaults(settings, List.of(usual, 3 * usual, 10 * usual), List.of(decay));
  }

  /** What {@code train} decays weights by: a rule that has its own habit keeps it. */
  public double weightDecay() {
    return weightDecays.contains(USUAL_DECAY)
        ? USUAL_DECAY
        : settings.get(RuleSettings.WEIGHT_DECAY);
  }
}
