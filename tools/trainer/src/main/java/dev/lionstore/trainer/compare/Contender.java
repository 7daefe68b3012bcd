package dev.lionstore.trainer.compare;

import dev.lionstore.Rounding;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.trainer.LanguageDefaults;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * An update rule and the grid of settings that it is tried with.
 *
 * @param label what the user called it
 * @param settings of the rule, but those of the grid
 * @param rounding of bf16 moments
 * @param learningRates peaks of the schedule, at least one
 * @param weightDecays at least one
 */
public record Contender(
    String label,
    RuleSettings settings,
    Rounding rounding,
    List<Double> learningRates,
    List<Double> weightDecays) {
  private static final String LEARNING_RATE = "lr";
  private static final String WEIGHT_DECAY = "wd";
  private static final String ROUNDING = "rounding";

  /** Copies the lists. */
  public Contender {
    learningRates = List.copyOf(learningRates);
    weightDecays = List.copyOf(weightDecays);
  }

  /**
   * Reads one as a user writes it: {@code RULE [lr=X,X…] [wd=X,X…] [rounding=W] [NAME=X…]}.
   *
   * @throws IllegalArgumentException saying what is wrong
   */
  public static Contender parse(String text) {
    String[] words = text.strip().split("\\s+");
    UpdateRule rule =
        UpdateRules.named(words[0])
            .orElseThrow(() ->
                new IllegalArgumentException(
                    "'"
                        + words[0]
                        + "' is no update rule, expected one of "
                        + String.join(
                            ", ", UpdateRules.all().stream().map(UpdateRule::name).toList())));
    LanguageDefaults usual = LanguageDefaults.of(rule);
    RuleSettings settings = usual.settings();
    Rounding rounding = Rounding.NEAREST;
    List<Double> rates = usual.learningRates();
    List<Double> decays = usual.weightDecays();
    for (String word : Arrays.asList(words).subList(1, words.length)) {
      int equals = word.indexOf('=');
      if (equals < 1) {
        throw new IllegalArgumentException("'" + word + "' has no value, expected NAME=VALUE");
      }
      String name = word.substring(0, equals);
      String value = word.substring(equals + 1);
      switch (name) {
        case LEARNING_RATE -> rates = numbers(name, value);
        case WEIGHT_DECAY -> decays = numbers(name, value);
        case ROUNDING -> rounding = rounding(value);
        default -> settings = settings.with(name, number(name, value));
      }
    }
    return new Contender(String.join(" ", words), settings, rounding, rates, decays);
  }

  private static Rounding rounding(String value) {
    return Arrays.stream(Rounding.values())
        .filter(rounding -> rounding.name().toLowerCase(Locale.ROOT).equals(value))
        .findFirst()
        .orElseThrow(() ->
            new IllegalArgumentException(
                "rounding is '" + value + "', expected nearest or stochastic"));
  }

  private static List<Double> numbers(String name, String values) {
    List<Double> numbers = new ArrayList<>();
    for (String value : values.split(",", -1)) {
      numbers.add(number(name, value));
    }
    return numbers;
  }

  private static double number(String name, String value) {
    try {
      return Double.parseDouble(value);
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(name + " is '" + value + "', expected a number", e);
    }
  }
}
