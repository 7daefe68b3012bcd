package dev.lionstore.cli;

import dev.lionstore.ParameterGroup;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.state.StoreLayout;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The hyperparameters of update rules, as options: each rule takes those that it has. */
final class RuleOptions {
  @Option(
      names = "--weight-decay",
      paramLabel = "X",
      description =
          "Weight decay (default: step the rule's own, lion 0, adamw 0.01; train 0.1 for rules of"
              + " these two kinds, else the rule's own).")
  private @Nullable Double weightDecay;

  @Option(
      names = "--beta1",
      paramLabel = "X",
      description =
          "lion: how much momentum the update takes; adamw: how much momentum is kept; from 0 to"
              + " below 1 (default: 0.9; train lion: 0.95).")
  private @Nullable Double beta1;

  @Option(
      names = "--beta2",
      paramLabel = "X",
      description =
          "How much is kept, of lion's momentum or adamw's second moment, from 0 to below 1 (default:"
              + " 0.99, adamw 0.999; train 0.98, adamw 0.95).")
  private @Nullable Double beta2;

  @Option(
      names = "--eps",
      paramLabel = "X",
      description = "adamw: what is added to the root of the second moment (default: 1e-8).")
  private @Nullable Double eps;

  @Option(
      names = "--set",
      paramLabel = "NAME=X",
      converter = Converters.OfSetting.class,
      description =
          "Any hyperparameter of the rule, may be repeated, for instance --set momentum=0.9; lionstore"
              + " rule show NAME lists them with their defaults. --set GROUP.NAME=X sets that of one"
              + " group, its learning_rate, too. A group with another rule than the store's takes"
              + " that rule's defaults, and none of the options without its name but --lr.")
  private List<Setting> settings = List.of();

  /** A hyperparameter and what it is set to. */
  record Setting(String name, double value) {
    /** The group that it is of, as GROUP.NAME says; empty if it is of all that have no own. */
    String group() {
      return name.substring(0, Math.max(0, name.lastIndexOf('.')));
    }

    /** The same without its group. */
    Setting ofItsGroup() {
      return new Setting(name.substring(name.lastIndexOf('.') + 1), value);
    }
  }

  /**
   * The settings of a layout's rules with the options that were given, the store's own rule first.
   *
   * @param usual the others of a rule
   * @throws IllegalArgumentException if one is given twice, of a group that is not there, not of
   *     its rule, or out of its bounds at this learning rate
   */
  List<RuleSettings> settings(
      StoreLayout layout, UnaryOperator<RuleSettings> usual, double learningRate) {
    requireGroups(layout);
    requireUse(layout);
    List<RuleSettings> all = new ArrayList<>();
    for (UpdateRule rule : layout.rules()) {
      RuleSettings its = usual.apply(rule.settings());
      if (rule.equals(layout.rule())) {
        its = settings(its, learningRate);
      }
      for (ParameterGroup group : layout.groups()) {
        if (layout.ruleOf(group.name()).equals(rule)) {
          its = withGroup(its, group, learningRate);
        }
      }
      all.add(its);
    }
    return all;
  }

  /** Options that no group would take are a mistake. */
  private void requireUse(StoreLayout layout) {
    List<Setting> given = ofNoGroup();
    List<String> groups = layout.groups().stream().map(ParameterGroup::name).toList();
    if (!given.isEmpty()
        && groups.stream().noneMatch(name -> layout.ruleOf(name).equals(layout.rule()))) {
      throw new IllegalArgumentException(
          given.getFirst().name()
              + " is given for the store's rule, "
              + layout.rule().name()
              + ", which no group has; expected --set GROUP."
              + given.getFirst().name()
              + "=X with one of the groups "
              + groups.stream()
                  .map(name -> name + " (" + layout.ruleOf(name).name() + ")")
                  .collect(Collectors.joining(", ")));
    }
  }

  private void requireGroups(StoreLayout layout) {
    List<String> groups = layout.groups().stream().map(ParameterGroup::name).toList();
    for (Setting setting : settings) {
      if (!setting.group().isEmpty() && !groups.contains(setting.group())) {
        throw new IllegalArgumentException(
            "--set "
                + setting.name()
                + ": there is no group "
                + setting.group()
                + ", expected one of "
                + String.join(", ", groups));
      }
    }
  }

  private RuleSettings withGroup(RuleSettings common, ParameterGroup group, double learningRate) {
    List<Setting> given =
        settings.stream()
            .filter(setting -> setting.group().equals(group.name()))
            .map(Setting::ofItsGroup)
            .toList();
    if (given.isEmpty()) {
      common.hyperparameters(learningRate, group);
      return common;
    }
    RuleSettings own = ofGroup(common, group.name(), given);
    boolean hasRate = isAmong(given, RuleSettings.LEARNING_RATE);
    boolean hasDecay = isAmong(given, RuleSettings.WEIGHT_DECAY);
    ParameterGroup bare =
        new ParameterGroup(
            group.name(),
            hasRate ? 1 : group.learningRateScale(),
            hasDecay ? OptionalDouble.empty() : group.weightDecay());
    double rate = hasRate ? own.get(RuleSettings.LEARNING_RATE) : learningRate;
    return common.withGroup(group.name(), own.hyperparameters(rate, bare));
  }

  private static RuleSettings ofGroup(RuleSettings common, String group, List<Setting> given) {
    try {
      return with(common, given);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("group " + group + ": " + e.getMessage(), e);
    }
  }

  private static boolean isAmong(List<Setting> given, String name) {
    return given.stream().anyMatch(setting -> setting.name().equals(name));
  }

  /**
   * A rule's settings with the options that were given for no group.
   *
   * @param usual the others
   * @throws IllegalArgumentException if one is given twice, not of this rule, or out of its bounds
   *     at this learning rate
   */
  private RuleSettings settings(RuleSettings usual, double learningRate) {
    List<Setting> given = ofNoGroup();
    if (given.stream().anyMatch(setting -> setting.name().equals(RuleSettings.LEARNING_RATE))) {
      throw new IllegalArgumentException("--set: the learning rate is --lr");
    }
    RuleSettings all = with(usual, given);
    all.hyperparameters(learningRate, ParameterGroup.ofDefaults());
    return all;
  }

  private List<Setting> ofNoGroup() {
    List<Setting> given = new ArrayList<>();
    add(given, RuleSettings.WEIGHT_DECAY, weightDecay);
    add(given, "beta1", beta1);
    add(given, "beta2", beta2);
    add(given, "eps", eps);
    settings.stream().filter(setting -> setting.group().isEmpty()).forEach(given::add);
    return given;
  }

  /**
   * Settings with others.
   *
   * @throws IllegalArgumentException if one is given twice, or wrong
   */
  static RuleSettings with(RuleSettings usual, List<Setting> given) {
    Set<String> names = new HashSet<>();
    RuleSettings all = usual;
    for (Setting setting : given) {
      if (!names.add(setting.name())) {
        throw new IllegalArgumentException(setting.name() + " is given twice");
      }
      all = all.with(setting.name(), setting.value());
    }
    return all;
  }

  private static void add(List<Setting> given, String name, @Nullable Double value) {
    if (value != null) {
      given.add(new Setting(name, value));
    }
  }
}
