package dev.lionstore.trainer.compare;

import dev.lionstore.Rounding;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.RuleSource;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.trainer.LanguageDefaults;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

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
  /** The settings are the words at the end that have values; the rule is what comes before. */
  private static final Pattern RULE_AND_SETTINGS =
      Pattern.compile("(?<rule>.+?)(?<settings>(?:\\s+[A-Za-z_][A-Za-z0-9_]*=\\S*)*)");

  private static final String LEARNING_RATE = "lr";
  private static final String WEIGHT_DECAY = "wd";
  private static final String ROUNDING = "rounding";

  /** Copies the lists. */
  public Contender {
    learningRates = List.copyOf(learningRates);
    weightDecays = List.copyOf(weightDecays);
  }

  /**
   * Reads one as a user writes it: {@code RULE [lr=X,X…] [wd=X,X…] [rounding=W] [NAME=X…]}, the
   * rule a name or a file, whose path may have spaces.
   *
   * @throws IllegalArgumentException saying what is wrong
   */
  public static Contender parse(String text) {
    Matcher parts = RULE_AND_SETTINGS.matcher(text.strip().replaceAll("[\\r\\n]", " "));
    if (!parts.matches()) {
      throw new IllegalArgumentException("no rule is named, expected RULE or RULE NAME=VALUE");
    }
    String named = parts.group("rule");
    List<String> given =
        Pattern.compile("\\S+")
            .matcher(parts.group("settings"))
            .results()
            .map(MatchResult::group)
            .toList();
    String[] names = named.split("\\s+");
    if (names.length > 1 && !RuleSource.isFile(named)) {
      throw new IllegalArgumentException("'" + names[1] + "' has no value, expected NAME=VALUE");
    }
    UpdateRule rule = RuleSource.of(named).rule();
    LanguageDefaults usual = LanguageDefaults.of(rule);
    RuleSettings settings = usual.settings();
    Rounding rounding = Rounding.NEAREST;
    List<Double> rates = usual.learningRates();
    List<Double> decays = usual.weightDecays();
    for (String word : given) {
      int equals = word.indexOf('=');
      String name = word.substring(0, equals);
      String value = word.substring(equals + 1);
      switch (name) {
        case LEARNING_RATE, RuleSettings.LEARNING_RATE -> rates = numbers(name, value);
        case WEIGHT_DECAY, RuleSettings.WEIGHT_DECAY -> decays = numbers(name, value);
        case ROUNDING -> rounding = rounding(value);
        default -> settings = settings.with(name, number(name, value));
      }
    }
    return new Contender(
        (named + " " + String.join(" ", given)).strip(), settings, rounding, rates, decays);
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
