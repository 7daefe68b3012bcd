package dev.lionstore.state;

import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.Utf8Order;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.UpdateRule;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;

/**
 * What a store holds; fixed when it is created.
 *
 * @param rule the update rule of groups that have none of their own
 * @param rounding how momentum is rounded unless a step says otherwise
 * @param seed of stochastic rounding unless a step says otherwise
 * @param gradientPlane which gradients it keeps
 * @param groups the parameter groups; the names differ
 * @param tensors in UTF-8 name order, each of a group that exists; the names differ
 * @param groupRules the rules of groups that are stepped by another one, by the groups' names in
 *     the order of the groups; a state that several rules have is of one type
 */
public record StoreLayout(
    UpdateRule rule,
    Rounding rounding,
    long seed,
    GradientPlane gradientPlane,
    List<ParameterGroup> groups,
    List<TensorSpec> tensors,
    Map<String, UpdateRule> groupRules) {

  /** Validates, and sorts the tensors by name. */
  public StoreLayout {
    groups = List.copyOf(groups);
    List<TensorSpec> sorted = new ArrayList<>(tensors);
    sorted.sort(Comparator.comparing(TensorSpec::name, Utf8Order.COMPARATOR));
    tensors = List.copyOf(sorted);
    Set<String> groupNames = distinct("group", groups.stream().map(ParameterGroup::name).toList());
    distinct("tensor", tensors.stream().map(TensorSpec::name).toList());
    for (TensorSpec tensor : tensors) {
      if (!groupNames.contains(tensor.group())) {
        throw new IllegalArgumentException(
            "tensor " + tensor.name() + " is of group " + tensor.group() + ", which is not there");
      }
    }
    groupRules = ownRules(rule, groups, groupRules);
    if (!groupRules.isEmpty()) {
      requireOneType(rule, tensors, groupRules);
    }
  }

  /** The layout of a store whose groups are all stepped by one rule. */
  public StoreLayout(
      UpdateRule rule,
      Rounding rounding,
      long seed,
      GradientPlane gradientPlane,
      List<ParameterGroup> groups,
      List<TensorSpec> tensors) {
    this(rule, rounding, seed, gradientPlane, groups, tensors, Map.of());
  }

  /**
   * Without those that say what the store's rule says, and with one object for equal rules. A state
   * that another rule keeps in another type has a plane of its own, whose name ends in the type.
   */
  private static Map<String, UpdateRule> ownRules(
      UpdateRule rule, List<ParameterGroup> groups, Map<String, UpdateRule> given) {
    Map<UpdateRule, UpdateRule> known = new HashMap<>(Map.of(rule, rule));
    Map<String, Plane> planes = new HashMap<>();
    rule.statePlanes().forEach(plane -> planes.put(plane.name(), plane));
    Map<String, UpdateRule> own = new LinkedHashMap<>();
    for (ParameterGroup group : groups) {
      UpdateRule found = given.getOrDefault(group.name(), rule);
      if (!found.equals(rule)) {
        UpdateRule apart = known.computeIfAbsent(found, other -> other.besidePlanes(planes));
        apart.statePlanes().forEach(plane -> planes.putIfAbsent(plane.name(), plane));
        own.put(group.name(), apart);
      }
    }
    for (String name : given.keySet()) {
      if (groups.stream().noneMatch(group -> group.name().equals(name))) {
        throw new IllegalArgumentException(
            "group " + name + " has rule " + given.get(name) + ", but is not there");
      }
    }
    return Collections.unmodifiableMap(own);
  }

  /** A plane has one file, whose values are of one type. */
  private static void requireOneType(
      UpdateRule rule, List<TensorSpec> tensors, Map<String, UpdateRule> groupRules) {
    Map<String, Plane> planes = new HashMap<>();
    Map<String, String> owners = new HashMap<>();
    Set<String> seen = new HashSet<>();
    for (TensorSpec tensor : tensors) {
      if (tensor.trainable() && seen.add(tensor.group())) {
        UpdateRule its = groupRules.getOrDefault(tensor.group(), rule);
        String owner = "rule " + its.name() + " of group " + tensor.group();
        for (Plane plane : its.statePlanes()) {
          Plane other = planes.putIfAbsent(plane.name(), plane);
          String otherOwner = owners.putIfAbsent(plane.name(), owner);
          if (other != null && !other.isStoredAs(plane)) {
            throw new IllegalArgumentException(
                "state "
                    + plane.name()
                    + " is "
                    + word(other)
                    + " in "
                    + otherOwner
                    + ", but "
                    + word(plane)
                    + " in "
                    + owner
                    + "; take the same type for both, or a rule whose text gives its state another"
                    + " name");
          }
        }
      }
    }
  }

  private static String word(Plane plane) {
    return plane.type().name().toLowerCase(Locale.ROOT);
  }

  /**
   * The layout of a model without tensors yet: momentum rounded to nearest, float32 gradients kept,
   * one parameter group.
   *
   * @param config of the rule that the store is for
   */
  public static StoreLayout of(RuleSettings config) {
    return new StoreLayout(
        config.rule(),
        Rounding.NEAREST,
        0,
        GradientPlane.F32,
        List.of(ParameterGroup.ofDefaults()),
        List.of());
  }

  /** The same with one more tensor, which is trained, in the first group. */
  public StoreLayout with(String name, long... shape) {
    List<TensorSpec> more = new ArrayList<>(tensors);
    List<Long> dimensions = Arrays.stream(shape).boxed().toList();
    more.add(new TensorSpec(name, dimensions, groups.getFirst().name(), TensorSpec.Role.TRAINABLE));
    return new StoreLayout(rule, rounding, seed, gradientPlane, groups, more, groupRules);
  }

  /**
   * The same with a rule for a group of its own.
   *
   * @throws IllegalArgumentException if there is no such group, or the rule has a state of another
   *     type than another rule has
   */
  public StoreLayout withRule(String group, UpdateRule its) {
    Map<String, UpdateRule> more = new HashMap<>(groupRules);
    more.put(group, its);
    return new StoreLayout(rule, rounding, seed, gradientPlane, groups, tensors, more);
  }

  /** The rule that a group's tensors are stepped by. */
  public UpdateRule ruleOf(String group) {
    return groupRules.getOrDefault(group, rule);
  }

  /** The rule that a tensor is stepped by, if it is trained. */
  public UpdateRule ruleOf(TensorSpec tensor) {
    return ruleOf(tensor.group());
  }

  /** Every rule, once: the store's, then those of groups in their order. */
  public List<UpdateRule> rules() {
    if (groupRules.isEmpty()) {
      return List.of(rule);
    }
    Set<UpdateRule> rules = new LinkedHashSet<>();
    rules.add(rule);
    rules.addAll(groupRules.values());
    return List.copyOf(rules);
  }

  /**
   * The rules that there are trained tensors of, in the order of {@link #rules}; the store's rule
   * if nothing is trained.
   */
  public List<UpdateRule> steppedRules() {
    if (groupRules.isEmpty()) {
      return List.of(rule);
    }
    Set<String> trained = new HashSet<>();
    for (TensorSpec tensor : tensors) {
      if (tensor.trainable()) {
        trained.add(tensor.group());
      }
    }
    Set<UpdateRule> stepped = new HashSet<>();
    trained.forEach(group -> stepped.add(ruleOf(group)));
    return stepped.isEmpty() ? List.of(rule) : rules().stream().filter(stepped::contains).toList();
  }

  /** Whether a store counts the steps of each tensor: one of its rules does. */
  public boolean countsSteps() {
    return rules().stream().anyMatch(UpdateRule::countsSteps);
  }

  /**
   * The index of a tensor.
   *
   * @throws IllegalArgumentException if there is none of this name
   */
  public int indexOf(String name) {
    int index =
        Collections.binarySearch(
            tensors.stream().map(TensorSpec::name).toList(), name, Utf8Order.COMPARATOR);
    if (index < 0) {
      throw new IllegalArgumentException("there is no tensor " + name);
    }
    return index;
  }

  /** The planes that hold a tensor's state, in the order of the content hash. */
  public List<Plane> planesOf(TensorSpec tensor) {
    return tensor.trainable() ? ruleOf(tensor).allPlanes() : Plane.MASTER;
  }

  /** Every plane of the state: the master's two, then those of {@link #steppedRules}, each once. */
  public List<Plane> planes() {
    List<UpdateRule> stepped = steppedRules();
    if (stepped.size() == 1) {
      return stepped.getFirst().allPlanes();
    }
    List<Plane> planes = new ArrayList<>(Plane.MASTER);
    for (UpdateRule its : stepped) {
      for (Plane plane : its.statePlanes()) {
        if (planes.stream().noneMatch(plane::isStoredAs)) {
          planes.add(plane);
        }
      }
    }
    return List.copyOf(planes);
  }

  /**
   * The same with some of the tensors.
   *
   * @param names accepts their names
   */
  public StoreLayout matching(Predicate<String> names) {
    List<TensorSpec> matching =
        tensors.stream().filter(tensor -> names.test(tensor.name())).toList();
    return new StoreLayout(rule, rounding, seed, gradientPlane, groups, matching, groupRules);
  }

  /** How many parameters there are. */
  public long parameterCount() {
    return tensors.stream().mapToLong(TensorSpec::count).sum();
  }

  /** The index of a tensor's group in {@link #groups()}. */
  public int groupIndex(TensorSpec tensor) {
    for (int i = 0; i < groups.size(); i++) {
      if (groups.get(i).name().equals(tensor.group())) {
        return i;
      }
    }
    throw new IllegalStateException("checked when the layout was made");
  }

  private static Set<String> distinct(String what, List<String> names) {
    Set<String> seen = new HashSet<>();
    for (String name : names) {
      if (!seen.add(name)) {
        throw new IllegalArgumentException(what + " " + name + " is there twice");
      }
    }
    return seen;
  }
}
