package dev.lionstore.python;

import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.rule.Lion;
import dev.lionstore.store.StoreBuilder;
import dev.lionstore.store.StoreLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;

/**
 * What a PyTorch optimizer trains: its groups and tensors in its own order. Tensors are numbered in
 * that order wherever Python names one.
 */
final class Plan {
  private static final int MOST_DIFFERENCES = 8;

  private final Rounding rounding;
  private final long seed;
  private final GradientPlane gradientPlane;
  private final int positionCapacity;
  private final List<ParameterGroup> groups = new ArrayList<>();
  private final List<TensorSpec> tensors = new ArrayList<>();

  /**
   * Begins with nothing.
   *
   * @param positionCapacity the longest position of a store that is made for it, in bytes
   * @throws IllegalArgumentException if no store can have such room
   */
  Plan(Rounding rounding, long seed, GradientPlane gradientPlane, int positionCapacity) {
    StoreBuilder.requireBounds(StoreBuilder.DEFAULT_CHUNK_ELEMENTS, positionCapacity);
    this.positionCapacity = positionCapacity;
    this.rounding = rounding;
    this.seed = seed;
    this.gradientPlane = gradientPlane;
  }

  void addGroup(String name) {
    groups.add(new ParameterGroup(name, 1, OptionalDouble.empty()));
  }

  /** Adds a tensor to the group added last. */
  void addTensor(String name, List<Long> shape, TensorSpec.Role role) {
    tensors.add(new TensorSpec(name, shape, groups.getLast().name(), role));
  }

  List<String> groupNames() {
    return groups.stream().map(ParameterGroup::name).toList();
  }

  int positionCapacity() {
    return positionCapacity;
  }

  StoreLayout layout() {
    return new StoreLayout(Lion.RULE, rounding, seed, gradientPlane, groups, tensors);
  }

  /** Where each of this plan's tensors is in a store's layout. */
  int[] indexesIn(StoreLayout layout) {
    Map<String, Integer> indexes = new HashMap<>();
    for (int t = 0; t < layout.tensors().size(); t++) {
      indexes.put(layout.tensors().get(t).name(), t);
    }
    return tensors.stream().mapToInt(tensor -> indexes.get(tensor.name())).toArray();
  }

  /**
   * Checks that a store holds this plan's model.
   *
   * @throws Failure.MismatchException naming what differs
   */
  void requireFits(StoreLayout layout, Path store) {
    List<String> differences = new ArrayList<>();
    Map<String, TensorSpec> there = new HashMap<>();
    layout.tensors().forEach(tensor -> there.put(tensor.name(), tensor));
    for (TensorSpec tensor : tensors) {
      TensorSpec found = there.remove(tensor.name());
      if (found == null) {
        differences.add(tensor.name() + " is not in the store");
      } else {
        addDifferences(tensor, found, differences);
      }
    }
    there.keySet().stream()
        .sorted()
        .forEach(name -> differences.add(name + " is in the store alone"));
    if (layout.gradientPlane() != gradientPlane) {
      differences.add(
          "its gradient plane is "
              + layout.gradientPlane().word()
              + ", the optimizer's gradients need "
              + gradientPlane.word());
    }
    if (!differences.isEmpty()) {
      throw new Failure.MismatchException(store + ": is of another model: " + text(differences));
    }
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
    } else if (!wanted.group().equals(found.group())) {
      differences.add(
          wanted.name()
              + " is in group "
              + wanted.group()
              + " of the optimizer and "
              + found.group()
              + " of the store");
    } else if (wanted.role() != found.role()) {
      differences.add(
          wanted.name()
              + (found.trainable()
                  ? " is trained in the store and frozen in the model"
                  : " is frozen in the store and trained in the model"));
    }
  }

  private static String text(List<String> differences) {
    int shown = Math.min(MOST_DIFFERENCES, differences.size());
    String text = String.join("; ", differences.subList(0, shown));
    return shown == differences.size()
        ? text
        : text + "; and " + (differences.size() - shown) + " more";
  }
}
