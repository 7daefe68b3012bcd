package dev.lionstore.python;

import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StoreBuilder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Predicate;

/**
 * What a PyTorch optimizer trains: its groups and parameters in its own order. They are numbered in
 * that order wherever Python names one. A store has a parameter as one tensor of its name, or under
 * the names that it has in the model's files: there it may be several tensors, one after the other
 * in its memory, such as a mixture's experts.
 */
final class Plan {
  private static final int MOST_DIFFERENCES = 8;
  private static final String RULE_IN_STORE = " is stepped by rule ";

  private final UpdateRule rule;
  private final Rounding rounding;
  private final long seed;
  private final GradientPlane gradientPlane;
  private final int positionCapacity;
  private final List<ParameterGroup> groups = new ArrayList<>();
  private final Map<String, UpdateRule> groupRules = new HashMap<>();
  private final List<Parameter> parameters = new ArrayList<>();

  /** A parameter as the model has it, and as its files do if they differ. */
  private record Parameter(TensorSpec inMemory, List<TensorSpec> inFiles) {
    /** The tensors that a store has of it, in the order of its elements. */
    List<TensorSpec> in(Map<String, TensorSpec> store) {
      TensorSpec found = store.get(inMemory.name());
      boolean isAsInMemory = found != null && found.shape().equals(inMemory.shape());
      return inFiles.isEmpty() || isAsInMemory ? List.of(inMemory) : inFiles;
    }
  }

  /**
   * Begins with nothing.
   *
   * @param positionCapacity the longest position of a store that is made for it, in bytes
   * @throws IllegalArgumentException if no store can have such room
   */
  Plan(
      UpdateRule rule,
      Rounding rounding,
      long seed,
      GradientPlane gradientPlane,
      int positionCapacity) {
    StoreBuilder.requireBounds(StoreBuilder.DEFAULT_CHUNK_ELEMENTS, positionCapacity);
    this.positionCapacity = positionCapacity;
    this.rule = rule;
    this.rounding = rounding;
    this.seed = seed;
    this.gradientPlane = gradientPlane;
  }

  void addGroup(UpdateRule its, String name) {
    groups.add(new ParameterGroup(name, 1, OptionalDouble.empty()));
    groupRules.put(name, its);
  }

  /** Adds a parameter to the group added last. */
  void addTensor(String name, List<Long> shape, TensorSpec.Role role) {
    TensorSpec inMemory = new TensorSpec(name, shape, groups.getLast().name(), role);
    parameters.add(new Parameter(inMemory, new ArrayList<>()));
  }

  /** Adds the next tensor that the model's files have of the parameter added last. */
  void addTensorInFiles(String name, List<Long> shape) {
    Parameter parameter = parameters.getLast();
    TensorSpec whole = parameter.inMemory();
    parameter.inFiles().add(new TensorSpec(name, shape, whole.group(), whole.role()));
  }

  int positionCapacity() {
    return positionCapacity;
  }

  /** The layout of a store that is made for it, with the names that the model's files have. */
  StoreLayout layout() {
    return layout(Map.of());
  }

  /** The layout of a store that succeeds another one, whose names it keeps. */
  StoreLayout layoutLike(StoreLayout predecessor) {
    return layout(byName(predecessor));
  }

  private StoreLayout layout(Map<String, TensorSpec> store) {
    List<TensorSpec> tensors = parameters.stream().flatMap(p -> p.in(store).stream()).toList();
    return new StoreLayout(rule, rounding, seed, gradientPlane, groups, tensors, groupRules);
  }

  private static Map<String, TensorSpec> byName(StoreLayout layout) {
    Map<String, TensorSpec> tensors = new HashMap<>();
    layout.tensors().forEach(tensor -> tensors.put(tensor.name(), tensor));
    return tensors;
  }

  /** Where each parameter lies in a store that has all of them. */
  Placement placementIn(StoreLayout layout) {
    Map<String, TensorSpec> there = byName(layout);
    List<List<String>> names =
        parameters.stream()
            .map(parameter -> parameter.in(there).stream().map(TensorSpec::name).toList())
            .toList();
    return Placement.of(names, layout);
  }

  /** What a store calls the groups, in this plan's order. */
  List<String> groupNamesIn(StoreLayout layout) {
    return (isOneGroupIn(layout) ? layout.groups() : groups)
        .stream().map(ParameterGroup::name).toList();
  }

  /** Whether there is nothing to tell groups apart by. */
  private boolean isOneGroupIn(StoreLayout layout) {
    return groups.size() == 1 && layout.groups().size() == 1;
  }

  /**
   * Whether a store was imported without groups, and the plan has several, keeps other gradients,
   * or, before the first step, freezes what the store trains: made anew as the plan has it, it
   * loses nothing.
   */
  boolean isUndecidedBy(StoreLayout layout, long step) {
    boolean hasNoGroups =
        layout.groups().stream().allMatch(g -> g.name().equals(ParameterGroup.DEFAULT_NAME));
    return hasNoGroups
        && (groups.size() > 1
            || layout.gradientPlane() != gradientPlane
            || (step == 0 && freezesMore(byName(layout))));
  }

  /** Parameters that a store has not got. */
  List<TensorSpec> missingIn(StoreLayout layout) {
    Map<String, TensorSpec> there = byName(layout);
    return parameters.stream()
        .flatMap(parameter -> parameter.in(there).stream())
        .filter(tensor -> !there.containsKey(tensor.name()))
        .toList();
  }

  private boolean freezesMore(Map<String, TensorSpec> there) {
    return parameters.stream()
        .flatMap(parameter -> parameter.in(there).stream())
        .filter(tensor -> !tensor.trainable())
        .map(tensor -> Optional.ofNullable(there.get(tensor.name())))
        .anyMatch(found -> found.filter(TensorSpec::trainable).isPresent());
  }

  /**
   * Checks that a store holds this plan's model.
   *
   * @param step completed steps of the store
   * @param isCarried whether a frozen parameter may be missing
   * @throws Failure.MismatchException naming what differs
   */
  void requireFits(StoreLayout layout, long step, Predicate<TensorSpec> isCarried, Path store) {
    boolean isUndecided = isUndecidedBy(layout, step);
    List<String> differences = new ArrayList<>();
    Map<String, TensorSpec> there = byName(layout);
    for (Parameter parameter : parameters) {
      for (TensorSpec tensor : parameter.in(there)) {
        TensorSpec found = there.remove(tensor.name());
        if (found == null && !isCarried.test(tensor)) {
          differences.add(tensor.name() + " is not in the store");
        } else if (found != null) {
          addDifferences(tensor, found, differences);
          if (!isUndecided && !isOneGroupIn(layout)) {
            addGroups(tensor, found, differences);
          }
          addRoles(tensor, found, isUndecided && step == 0, differences);
          if (!(isUndecided && step == 0)) {
            addRules(tensor, found, layout, differences);
          }
        }
      }
    }
    there.keySet().stream()
        .sorted()
        .forEach(name -> differences.add(name + " is in the store alone"));
    if (!layout.rule().equals(rule)) {
      differences.add("its rule is " + layout.rule().name() + ", the optimizer's " + rule.name());
    }
    if (!differences.isEmpty()) {
      throw new Failure.MismatchException(
          store + ": is of another model: " + text(differences) + remedy(differences));
    }
    if (!isUndecided && layout.gradientPlane() != gradientPlane) {
      throw new Failure.MismatchException(
          store
              + ": its gradient plane is "
              + layout.gradientPlane().word()
              + ", the optimizer's gradients need "
              + gradientPlane.word()
              + ": open it with "
              + argumentsFor(layout.gradientPlane())
              + ", or load its state_dict() into a new store");
    }
  }

  /** With which an optimizer has such a plane. */
  private static String argumentsFor(GradientPlane there) {
    return switch (there) {
      case NONE -> "gradients=\"stream\"";
      case BF16 ->
          "gradients=\"step\" or \"plane\" and gradient_dtype=torch.bfloat16, which takes bfloat16"
              + " parameters alone";
      case F32 -> "gradients=\"step\" or \"plane\" and gradient_dtype=torch.float32";
    };
  }

  private static void addDifferences(
      TensorSpec wanted, TensorSpec found, List<String> differences) {
    if (!wanted.shape().equals(found.shape())) {
      differences.add(
          wanted.name()
              + " has shape "
              + wanted.shape()
              + " in the model and "
              + found.shape()
              + " in the store");
    }
  }

  private static void addGroups(TensorSpec wanted, TensorSpec found, List<String> differences) {
    if (!wanted.group().equals(found.group())) {
      differences.add(
          wanted.name()
              + " is in group "
              + wanted.group()
              + " of the optimizer and "
              + found.group()
              + " of the store");
    }
  }

  private void addRules(
      TensorSpec wanted, TensorSpec found, StoreLayout layout, List<String> differences) {
    UpdateRule its = groupRules.getOrDefault(wanted.group(), rule);
    UpdateRule there = layout.ruleOf(found);
    boolean isOfStoresOwn = its.equals(rule) && there.equals(layout.rule());
    if (wanted.trainable() && !there.equals(its) && !isOfStoresOwn) {
      differences.add(
          wanted.name()
              + RULE_IN_STORE
              + there
              + " in the store and "
              + its
              + (its.name().equals(there.name()) ? " with another text" : "")
              + " in the optimizer");
    }
  }

  private static void addRoles(
      TensorSpec wanted, TensorSpec found, boolean mayFreeze, List<String> differences) {
    if (wanted.trainable() && !found.trainable()) {
      differences.add(wanted.name() + " is frozen in the store and trained in the model");
    } else if (found.trainable() && !wanted.trainable() && !mayFreeze) {
      differences.add(wanted.name() + " is trained in the store and frozen in the model");
    }
  }

  /** What to do about the differences of the first kind that there is. */
  private static String remedy(List<String> differences) {
    String all = String.join("\n", differences);
    if (all.contains(" is not in the store")) {
      return ". A store of another model class, or of an adapter without its base, has other names:"
          + " open it with the model that it was made of, or make another one";
    }
    if (all.contains(" is in the store alone")) {
      return ". Hand over all of model.named_parameters(); if the model has no such tensors, import"
          + " its folder again with --carry REGEX for them";
    }
    if (all.contains(RULE_IN_STORE)) {
      return ". A group keeps the rule that its store was made with: give it that one, or make a new"
          + " store, which begins with the model's weights and no moments";
    }
    if (all.contains(" is frozen in the store")) {
      return ". Call requires_grad_(False) on it, or import the folder again without --freeze";
    }
    return "";
  }

  private static String text(List<String> differences) {
    int shown = Math.min(MOST_DIFFERENCES, differences.size());
    String text = String.join("; ", differences.subList(0, shown));
    return shown == differences.size()
        ? text
        : text + "; and " + (differences.size() - shown) + " more";
  }
}
