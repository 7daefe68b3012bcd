package dev.lionstore.trainer;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonSetter;
import com.fasterxml.jackson.annotation.Nulls;
import dev.lionstore.ParameterGroup;
import dev.lionstore.TensorSpec;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StepRequest;
import java.util.List;
import java.util.OptionalDouble;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * An update rule and its hyperparameters, as a run's position keeps them.
 *
 * @param rule its name
 * @param text of a user's own rule, so that a run goes on without the file; empty for one in the
 *     box
 * @param hyperparameters all but the learning rate, by their names
 * @param groups those with a rule or hyperparameters of their own, by their names
 */
public record Optimizer(
    String rule,
    @JsonInclude(JsonInclude.Include.NON_EMPTY) @JsonSetter(nulls = Nulls.AS_EMPTY) String text,
    SortedMap<String, Double> hyperparameters,
    @JsonInclude(JsonInclude.Include.NON_EMPTY) @JsonSetter(nulls = Nulls.AS_EMPTY)
        SortedMap<String, OfGroup> groups) {

  /**
   * What steps a group.
   *
   * @param tensors of the group
   * @param learningRateScale its learning rate, as a multiple of the run's
   * @param optimizer its rule and hyperparameters; it has no groups
   */
  public record OfGroup(List<String> tensors, double learningRateScale, Optimizer optimizer) {
    /** Copies the list. */
    public OfGroup {
      tensors = List.copyOf(tensors);
    }

    /** The group with the values that a run which is resumed without options takes from it. */
    ParameterGroup group(String name) {
      double decay = optimizer.settings().get(RuleSettings.WEIGHT_DECAY);
      return new ParameterGroup(name, learningRateScale, OptionalDouble.of(decay));
    }

    private double[] hyperparameters(double learningRate) {
      ParameterGroup plain = ParameterGroup.ofDefaults();
      return optimizer.settings().hyperparameters(learningRate * learningRateScale, plain);
    }
  }

  /** Refuses what is no rule or no hyperparameter of it. */
  public Optimizer {
    hyperparameters = new TreeMap<>(hyperparameters);
    groups = new TreeMap<>(groups);
    settings(rule, text, hyperparameters);
  }

  /** What is set, for all groups. */
  public static Optimizer of(RuleSettings settings) {
    return of(settings.rule(), values(settings), new TreeMap<>());
  }

  /**
   * What is set for the groups of a layout.
   *
   * @param settings of each of its rules, the store's own first
   * @param peak the run's greatest learning rate
   */
  public static Optimizer of(StoreLayout layout, List<RuleSettings> settings, double peak) {
    SortedMap<String, OfGroup> groups = new TreeMap<>();
    for (ParameterGroup group : layout.groups()) {
      UpdateRule its = layout.ruleOf(group.name());
      RuleSettings set =
          settings.stream().filter(each -> each.rule().equals(its)).findFirst().orElseThrow();
      if (!its.equals(layout.rule()) || set.has(group.name())) {
        groups.put(group.name(), group(layout, group, set.hyperparameters(peak, group), peak));
      }
    }
    return of(layout.rule(), values(settings.getFirst()), groups);
  }

  private static OfGroup group(
      StoreLayout layout, ParameterGroup group, double[] hyperparameters, double peak) {
    UpdateRule rule = layout.ruleOf(group.name());
    List<String> names = rule.hyperparameters();
    double rate = hyperparameters[names.indexOf(RuleSettings.LEARNING_RATE)];
    return new OfGroup(
        layout.tensors().stream()
            .filter(tensor -> tensor.group().equals(group.name()))
            .map(TensorSpec::name)
            .toList(),
        rate == peak * group.learningRateScale() ? group.learningRateScale() : rate / peak,
        of(rule, hyperparameters, new TreeMap<>()));
  }

  private static Optimizer of(
      UpdateRule rule, double[] hyperparameters, SortedMap<String, OfGroup> groups) {
    SortedMap<String, Double> values = new TreeMap<>();
    List<String> names = rule.hyperparameters();
    for (int h = 0; h < names.size(); h++) {
      if (!names.get(h).equals(RuleSettings.LEARNING_RATE)) {
        values.put(names.get(h), hyperparameters[h]);
      }
    }
    boolean isInTheBox = UpdateRules.named(rule.name()).filter(rule::equals).isPresent();
    return new Optimizer(rule.name(), isInTheBox ? "" : rule.text(), values, groups);
  }

  private static double[] values(RuleSettings settings) {
    return settings.rule().hyperparameters().stream().mapToDouble(settings::get).toArray();
  }

  /** The rule's settings. */
  RuleSettings settings() {
    return settings(rule, text, hyperparameters);
  }

  /**
   * A step of all groups.
   *
   * @throws IllegalArgumentException if a group's hyperparameters are out of their bounds at this
   *     learning rate
   */
  StepRequest request(double learningRate) {
    StepRequest request = StepRequest.of(settings(), learningRate);
    for (String name : groups.keySet()) {
      OfGroup own = groups.get(name);
      RuleSettings its = own.optimizer().settings();
      request =
          request.withRule(
              request
                  .settings(its.rule())
                  .orElse(its)
                  .withGroup(name, own.hyperparameters(learningRate)));
    }
    return request;
  }

  private static RuleSettings settings(String rule, String text, SortedMap<String, Double> values) {
    UpdateRule named =
        text.isEmpty() ? UpdateRules.required(rule) : UpdateRules.recorded(rule, text);
    RuleSettings settings = named.settings();
    for (String name : values.keySet()) {
      settings = settings.with(name, values.get(name));
    }
    return settings;
  }
}
