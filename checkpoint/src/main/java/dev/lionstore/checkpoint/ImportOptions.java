package dev.lionstore.checkpoint;

import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.safetensors.DeclaredTensor;
import dev.lionstore.safetensors.SafetensorsType;
import dev.lionstore.safetensors.TensorEntry;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StoreBuilder;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * How a model becomes a store.
 *
 * @param rules which update rule steps which tensors
 * @param gradientPlane which gradients are kept; if empty, bf16 for a model of bf16 alone and for a
 *     random one, else f32
 * @param rounding of moments
 * @param seed of stochastic rounding
 * @param groups the first whose pattern matches a tensor's whole name takes it
 * @param frozen tensors whose whole names match one of these are never stepped
 * @param chunkElements elements of a chunk
 * @param positionCapacity the longest position that fits, in bytes
 * @param reading how the model's own tensors are taken
 */
public record ImportOptions(
    TensorRules rules,
    Optional<GradientPlane> gradientPlane,
    Rounding rounding,
    long seed,
    List<GroupRule> groups,
    List<Pattern> frozen,
    int chunkElements,
    int positionCapacity,
    Reading reading) {

  /**
   * How a model's tensors are taken.
   *
   * @param carried tensors whose whole names match one of these are no parameters
   * @param trained tensors whose whole names match one of these are parameters, though they are
   *     called like buffers
   * @param quantized what becomes of a quantized model
   * @param component the folder in the model's whose weights are meant; all else is carried. Empty
   *     if they lie in the model's own
   */
  public record Reading(
      List<Pattern> carried, List<Pattern> trained, Quantized quantized, String component) {
    /** By their names alone. */
    public static final Reading DEFAULT = new Reading(List.of(), List.of(), Quantized.REFUSED, "");

    /** Copies the lists. */
    public Reading {
      carried = List.copyOf(carried);
      trained = List.copyOf(trained);
    }
  }

  /** What becomes of a quantized model. */
  public enum Quantized {
    /** It is refused by name. */
    REFUSED,
    /** 8-bit floats with scales of blocks are multiplied with these; others are refused. */
    DEQUANTIZED,
    /** The same, and a model that is not quantized will do. */
    DEQUANTIZED_IF_ANY
  }

  /** What the options say of a tensor. */
  enum Said {
    NOTHING,
    CARRIED,
    PARAMETER
  }

  /** Steps all tensors by one rule, and takes them by their names alone. */
  public ImportOptions(
      UpdateRule rule,
      Optional<GradientPlane> gradientPlane,
      Rounding rounding,
      long seed,
      List<GroupRule> groups,
      List<Pattern> frozen,
      int chunkElements,
      int positionCapacity) {
    this(
        TensorRules.of(rule),
        gradientPlane,
        rounding,
        seed,
        groups,
        frozen,
        chunkElements,
        positionCapacity,
        Reading.DEFAULT);
  }

  /** The same with another way to take a model's tensors. */
  public ImportOptions withReading(Reading changed) {
    return new ImportOptions(
        rules,
        gradientPlane,
        rounding,
        seed,
        groups,
        frozen,
        chunkElements,
        positionCapacity,
        changed);
  }

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

  boolean dequantizes() {
    return reading.quantized() != Quantized.REFUSED;
  }

  /** Whether a tensor is a parameter; one that is to be frozen is. */
  Said saidOf(String name) {
    if (matches(reading.carried(), name)) {
      return Said.CARRIED;
    }
    return matches(reading.trained(), name) || matches(frozen, name)
        ? Said.PARAMETER
        : Said.NOTHING;
  }

  private static boolean matches(List<Pattern> patterns, String name) {
    return patterns.stream().anyMatch(pattern -> pattern.matcher(name).matches());
  }

  /** Refuses patterns of {@link #reading} that match none of a model's names. */
  void requireMatches(List<TensorEntry> tensors) {
    List<String> names = tensors.stream().map(TensorEntry::name).toList();
    reading.carried().forEach(pattern -> NamePatterns.requireMatch("--carry", pattern, names));
    reading.trained().forEach(pattern -> NamePatterns.requireMatch("--train", pattern, names));
    reading.trained().forEach(pattern -> requireTrained(pattern, tensors));
  }

  private static void requireTrained(Pattern pattern, List<TensorEntry> tensors) {
    List<TensorEntry> meant =
        tensors.stream().filter(each -> pattern.matcher(each.name()).matches()).toList();
    if (meant.stream().noneMatch(each -> CarriedContent.isTrained(each.type()))) {
      TensorEntry first = meant.getFirst();
      throw new IllegalArgumentException(
          "--train "
              + pattern
              + " matches "
              + Text.quoted(first.name())
              + " of type "
              + first.type()
              + ", expected F32, F16 or BF16; save it as F32 to train it");
    }
  }

  /** Whether every tensor that is stepped is BF16: then bf16 holds its gradients, too. */
  GradientPlane gradientsOf(List<DeclaredTensor> tensors) {
    boolean narrow =
        tensors.stream()
            .filter(tensor -> !isFrozen(tensor.name()))
            .allMatch(tensor -> tensor.type() == SafetensorsType.BF16);
    return narrow ? GradientPlane.BF16 : GradientPlane.F32;
  }

  /**
   * Refuses patterns that were not meant so.
   *
   * @param tensors that are trained, at least one
   * @throws IllegalArgumentException if one matches nothing, or nothing is left to train
   */
  void requireSense(List<DeclaredTensor> tensors) {
    List<String> names = tensors.stream().map(DeclaredTensor::name).toList();
    for (GroupRule rule : groups) {
      NamePatterns.requireMatch("--group " + rule.group().name() + " --match", rule.names(), names);
    }
    for (Pattern pattern : frozen) {
      NamePatterns.requireMatch("--freeze", pattern, names);
    }
    if (names.stream().allMatch(this::isFrozen)) {
      throw new IllegalArgumentException(
          "--freeze matches all "
              + names.size()
              + " tensors, which leaves nothing to train; freeze fewer");
    }
  }

  /**
   * What a store of these tensors holds.
   *
   * @param unlessAsked the gradient plane if the options leave it open
   */
  StoreLayout layout(List<DeclaredTensor> tensors, GradientPlane unlessAsked) {
    return rules.in(
        new StoreLayout(
            rules.rule(),
            rounding,
            seed,
            gradientPlane.orElse(unlessAsked),
            allGroups(),
            tensors.stream().map(this::spec).toList()));
  }

  /** The groups, the default one last unless a rule defines it. */
  private List<ParameterGroup> allGroups() {
    List<ParameterGroup> all = new ArrayList<>(groups.stream().map(GroupRule::group).toList());
    if (all.stream().noneMatch(group -> group.name().equals(ParameterGroup.DEFAULT_NAME))) {
      all.add(ParameterGroup.ofDefaults());
    }
    return all;
  }

  private TensorSpec spec(DeclaredTensor tensor) {
    String name = tensor.name();
    String group =
        groups.stream()
            .filter(rule -> rule.names().matcher(name).matches())
            .findFirst()
            .map(rule -> rule.group().name())
            .orElse(ParameterGroup.DEFAULT_NAME);
    TensorSpec.Role role = isFrozen(name) ? TensorSpec.Role.FROZEN : TensorSpec.Role.TRAINABLE;
    return new TensorSpec(name, tensor.shape(), group, role);
  }

  private boolean isFrozen(String name) {
    return matches(frozen, name);
  }
}
