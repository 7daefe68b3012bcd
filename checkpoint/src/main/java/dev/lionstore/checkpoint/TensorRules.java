package dev.lionstore.checkpoint;

import dev.lionstore.ParameterGroup;
import dev.lionstore.TensorSpec;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.state.StoreLayout;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Which update rule steps which tensors of a model.
 *
 * @param rule of all tensors that no pattern matches
 * @param byName the first whose pattern matches a tensor's whole name is its rule
 */
public record TensorRules(UpdateRule rule, List<ByName> byName) {
  /**
   * A rule of tensors by their names.
   *
   * @param names matches their whole names
   * @param rule that steps them
   */
  public record ByName(Pattern names, UpdateRule rule) {
    private boolean matches(String name) {
      return names.matcher(name).matches();
    }
  }

  /** Copies the list. */
  public TensorRules {
    byName = List.copyOf(byName);
  }

  /** One rule for all tensors. */
  public static TensorRules of(UpdateRule rule) {
    return new TensorRules(rule, List.of());
  }

  /**
   * A layout whose groups have these rules. A group whose trained tensors all get one rule keeps
   * its name. Otherwise each further rule takes its tensors to a group with the same values, which
   * is called by the rule, or GROUP-RULE if the group that they leave is not the default one.
   *
   * @param layout of {@link #rule} alone
   * @throws IllegalArgumentException if a pattern matches no tensor that is trained, two rules of
   *     one name meet, or two rules have a state of one name in different types
   */
  public StoreLayout in(StoreLayout layout) {
    if (byName.isEmpty()) {
      return layout;
    }
    Map<String, Set<UpdateRule>> rulesOfGroups = new HashMap<>();
    List<TensorSpec> trained = layout.tensors().stream().filter(TensorSpec::trainable).toList();
    requireMatches(trained);
    for (TensorSpec tensor : trained) {
      rulesOfGroups.computeIfAbsent(tensor.group(), _ -> new LinkedHashSet<>()).add(ruleOf(tensor));
    }
    List<ParameterGroup> groups = new ArrayList<>();
    Map<String, UpdateRule> groupRules = new HashMap<>();
    for (ParameterGroup group : layout.groups()) {
      groups.add(group);
      Set<UpdateRule> rules = rulesOfGroups.getOrDefault(group.name(), Set.of());
      for (UpdateRule its : rules) {
        String name = part(group.name(), rules, its);
        groupRules.put(name, its);
        if (!name.equals(group.name())) {
          requireFree(name, layout, groups);
          groups.add(new ParameterGroup(name, group.learningRateScale(), group.weightDecay()));
        }
      }
    }
    return new StoreLayout(
        rule,
        layout.rounding(),
        layout.seed(),
        layout.gradientPlane(),
        groups,
        layout.tensors().stream().map(tensor -> inItsPart(tensor, rulesOfGroups)).toList(),
        groupRules);
  }

  private TensorSpec inItsPart(TensorSpec tensor, Map<String, Set<UpdateRule>> rulesOfGroups) {
    return tensor.trainable()
        ? new TensorSpec(
            tensor.name(),
            tensor.shape(),
            part(
                tensor.group(),
                rulesOfGroups.getOrDefault(tensor.group(), Set.of()),
                ruleOf(tensor)),
            tensor.role())
        : tensor;
  }

  /** What a group is called as far as a rule steps it. */
  private String part(String group, Set<UpdateRule> rules, UpdateRule its) {
    if (rules.size() == 1 || its.equals(rule)) {
      return group;
    }
    return group.equals(ParameterGroup.DEFAULT_NAME) ? its.name() : group + "-" + its.name();
  }

  private static void requireFree(String name, StoreLayout layout, List<ParameterGroup> groups) {
    if (Stream.concat(layout.groups().stream(), groups.stream())
        .anyMatch(group -> group.name().equals(name))) {
      throw new IllegalArgumentException(
          "--rule-for makes a group "
              + name
              + " of the tensors of a rule, but there is another one of that name; name the group or"
              + " the rule otherwise");
    }
  }

  private UpdateRule ruleOf(TensorSpec tensor) {
    return byName.stream()
        .filter(each -> each.matches(tensor.name()))
        .findFirst()
        .map(ByName::rule)
        .orElse(rule);
  }

  private void requireMatches(List<TensorSpec> trained) {
    List<String> names = trained.stream().map(TensorSpec::name).toList();
    for (int i = 0; i < byName.size(); i++) {
      Pattern pattern = byName.get(i).names();
      NamePatterns.requireMatch("--rule-for", pattern, names, "trained tensors");
      List<ByName> before = byName.subList(0, i);
      if (names.stream()
          .filter(name -> pattern.matcher(name).matches())
          .allMatch(name -> before.stream().anyMatch(each -> each.matches(name)))) {
        throw new IllegalArgumentException(
            "--rule-for "
                + pattern
                + " decides for no tensor: the first that matches wins, and each of its tensors is"
                + " matched by one before it; put it first or leave it out");
      }
    }
  }
}
