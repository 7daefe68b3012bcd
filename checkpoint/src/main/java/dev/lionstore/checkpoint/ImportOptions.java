package dev.lionstore.checkpoint;

import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.store.StoreBuilder;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * How a model becomes a store.
 *
 * @param gradientPlane which gradients are kept; if empty, bf16 for a model of bf16 alone, else f32
 * @param rounding of momentum
 * @param seed of stochastic rounding
 * @param groups the first whose pattern matches a tensor's whole name takes it
 * @param frozen tensors whose whole names match one of these are never stepped
 * @param chunkElements elements of a chunk
 * @param positionCapacity the longest position that fits, in bytes
 */
public record ImportOptions(
    Optional<GradientPlane> gradientPlane,
    Rounding rounding,
    long seed,
    List<GroupRule> groups,
    List<Pattern> frozen,
    int chunkElements,
    int positionCapacity) {

  /**
   * Which tensors a group takes.
   *
   * @param group the group
   * @param names matches the whole names of its tensors
   */
  public record GroupRule(ParameterGroup group, Pattern names) {}

  /** Copies the lists, and refuses what no store can have. */
  public ImportOptions {
    StoreBuilder.requireBounds(chunkElements, positionCapacity);
    groups = List.copyOf(groups);
    frozen = List.copyOf(frozen);
  }

  /** The groups, the default one last unless a rule defines it. */
  List<ParameterGroup> allGroups() {
    List<ParameterGroup> all = new ArrayList<>(groups.stream().map(GroupRule::group).toList());
    if (all.stream().noneMatch(group -> group.name().equals(ParameterGroup.DEFAULT_NAME))) {
      all.add(ParameterGroup.ofDefaults());
    }
    return all;
  }

  TensorSpec spec(String name, List<Long> shape) {
    String group =
        groups.stream()
            .filter(rule -> rule.names().matcher(name).matches())
            .findFirst()
            .map(rule -> rule.group().name())
            .orElse(ParameterGroup.DEFAULT_NAME);
    boolean freeze = frozen.stream().anyMatch(pattern -> pattern.matcher(name).matches());
    return new TensorSpec(
        name, shape, group, freeze ? TensorSpec.Role.FROZEN : TensorSpec.Role.TRAINABLE);
  }
}
