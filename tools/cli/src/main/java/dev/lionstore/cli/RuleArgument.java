package dev.lionstore.cli;

import dev.lionstore.ParameterGroup;
import dev.lionstore.rule.RefusedValueException;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.RuleSource;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.state.StoreLayout;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** The rule that a command is about, or the rules of a store, and what it is set to. */
final class RuleArgument {
  @Parameters(
      paramLabel = "NAME|FILE",
      converter = Converters.OfNamedRules.class,
      description = "A rule's name, a file with a rule of your own, a store or a snapshot.")
  private Named named = new Named(List.of());

  @Option(
      names = "--group",
      paramLabel = "NAME",
      description = "Of a store whose groups have several rules, that of this one (default: all).")
  private @Nullable String group;

  @Option(
      names = "--set",
      paramLabel = "NAME=X",
      converter = Converters.OfSetting.class,
      description =
          "A hyperparameter, may be repeated, for instance --set learning_rate=1e-3 (default: the"
              + " text's).")
  private List<RuleOptions.Setting> settings = List.of();

  @Option(
      names = "--steps",
      paramLabel = "N",
      converter = Converters.OfCount.class,
      description = "At which of a tensor's steps coefficients are shown (default: 1).")
  private int steps = 1;

  /**
   * What the argument names.
   *
   * @param rules at least one
   */
  record Named(List<OfGroups> rules) {
    static Named of(RuleSource source) {
      return new Named(List.of(new OfGroups(List.of(), source)));
    }

    static Named of(StoreLayout layout, String from) {
      return new Named(layout.rules().stream().map(rule -> of(layout, rule, from)).toList());
    }

    private static OfGroups of(StoreLayout layout, UpdateRule rule, String from) {
      List<String> groups =
          layout.groups().stream()
              .map(ParameterGroup::name)
              .filter(name -> layout.ruleOf(name).equals(rule))
              .toList();
      return new OfGroups(groups, RuleSource.ofRecorded(rule, from));
    }
  }

  /**
   * A rule.
   *
   * @param groups of the store that it steps; none if it is not of a store
   * @param source the rule
   */
  record OfGroups(List<String> groups, RuleSource source) {}

  /**
   * The rules.
   *
   * @throws IllegalArgumentException if the store has no such group
   */
  List<OfGroups> rules() {
    String wanted = group;
    if (wanted == null) {
      return named.rules();
    }
    List<OfGroups> found =
        named.rules().stream().filter(rule -> rule.groups().contains(wanted)).toList();
    if (found.isEmpty()) {
      throw new IllegalArgumentException(
          "--group: there is no group " + wanted + ", expected one of " + words(named.rules()));
    }
    return found;
  }

  /**
   * The only rule.
   *
   * @throws IllegalArgumentException if there are several, or no such group
   */
  RuleSource source() {
    List<OfGroups> rules = rules();
    if (rules.size() > 1) {
      throw new IllegalArgumentException(
          "the store has several rules; name one by --group, expected one of " + words(rules));
    }
    return rules.getFirst().source();
  }

  private static String words(List<OfGroups> rules) {
    return rules.stream()
        .flatMap(
            rule -> rule.groups().stream().map(name -> name + " (" + rule.source().rule() + ")"))
        .collect(Collectors.joining(", "));
  }

  /** Which of a tensor's steps is shown. */
  int step() {
    return steps;
  }

  /**
   * A rule's settings.
   *
   * @throws IllegalArgumentException if they are out of the rule's bounds, or are of one of several
   */
  RuleSettings settings(RuleSource source) {
    RuleSource its = settings.isEmpty() ? source : source();
    try {
      RuleSettings set = RuleOptions.with(its.rule().settings(), settings);
      hyperparameters(set);
      return set;
    } catch (RefusedValueException e) {
      throw new IllegalArgumentException(its.wrong(e), e);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(its.from() + ": " + e.getMessage(), e);
    }
  }

  /** The coefficients at settings, by their names. */
  Map<String, Double> coefficients(RuleSettings set) {
    return set.rule().definedCoefficients(hyperparameters(set), steps);
  }

  private static double[] hyperparameters(RuleSettings set) {
    return set.hyperparameters(set.get(RuleSettings.LEARNING_RATE), ParameterGroup.ofDefaults());
  }
}
