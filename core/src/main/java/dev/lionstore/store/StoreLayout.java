package dev.lionstore.store;

import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.Utf8Order;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;

/**
 * What a store holds; fixed when it is created.
 *
 * @param rule the update rule
 * @param rounding how momentum is rounded unless a step says otherwise
 * @param seed of stochastic rounding unless a step says otherwise
 * @param gradientPlane which gradients it keeps
 * @param groups the parameter groups; the names differ
 * @param tensors in UTF-8 name order, each of a group that exists; the names differ
 */
public record StoreLayout(
    UpdateRule rule,
    Rounding rounding,
    long seed,
    GradientPlane gradientPlane,
    List<ParameterGroup> groups,
    List<TensorSpec> tensors) {

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
  }

  /** The planes that hold a tensor's state, in the order of the content hash. */
  public List<Plane> planesOf(TensorSpec tensor) {
    return tensor.trainable() ? planes() : Plane.MASTER;
  }

  /** Every plane of the state: the master's two, then the rule's. */
  public List<Plane> planes() {
    List<Plane> planes = new ArrayList<>(Plane.MASTER);
    planes.addAll(rule.statePlanes());
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
    return new StoreLayout(rule, rounding, seed, gradientPlane, groups, matching);
  }

  /** How many parameters there are. */
  public long parameterCount() {
    return tensors.stream().mapToLong(TensorSpec::count).sum();
  }

  /** The index of a tensor's group in {@link #groups()}. */
  int groupIndex(TensorSpec tensor) {
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
