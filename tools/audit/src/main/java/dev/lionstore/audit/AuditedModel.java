package dev.lionstore.audit;

import dev.lionstore.ParameterGroup;
import dev.lionstore.TensorSpec;
import dev.lionstore.safetensors.DeclaredTensor;
import java.util.List;
import java.util.function.ToLongFunction;

/**
 * The tensors that an audit is about.
 *
 * @param name as the user knows it
 * @param source where its shapes are from, in a few words
 * @param tensors its tensors; frozen ones have weights alone
 * @param shaped whether these are the model's own: a bare count of parameters has no shapes
 */
public record AuditedModel(String name, String source, List<TensorSpec> tensors, boolean shaped) {
  /** More than any model has, and few enough for a store's chunks. */
  public static final long MOST_PARAMETERS = 10_000_000_000_000L;

  /** Copies, and refuses what no store holds. */
  public AuditedModel {
    tensors = List.copyOf(tensors);
    long count = sum(tensors, TensorSpec::count);
    if (count < 1 || count > MOST_PARAMETERS) {
      throw new IllegalArgumentException(
          name + " has " + count + " parameters, expected 1 to " + MOST_PARAMETERS);
    }
  }

  /** So many parameters, of whatever shapes. */
  public static AuditedModel ofCount(String name, long parameters) {
    return new AuditedModel(
        name, "a count", List.of(trainable("parameters", List.of(parameters))), false);
  }

  /** A model whose every tensor is trained. */
  public static AuditedModel of(String name, String source, List<DeclaredTensor> tensors) {
    return new AuditedModel(
        name,
        source,
        tensors.stream().map(tensor -> trainable(tensor.name(), tensor.shape())).toList(),
        true);
  }

  private static TensorSpec trainable(String name, List<Long> shape) {
    return new TensorSpec(name, shape, ParameterGroup.DEFAULT_NAME, TensorSpec.Role.TRAINABLE);
  }

  /** How many parameters there are. */
  public long parameters() {
    return sum(tensors, TensorSpec::count);
  }

  /** The tensors that steps change. */
  List<TensorSpec> trained() {
    return tensors.stream().filter(TensorSpec::trainable).toList();
  }

  /** How many parameters steps change. */
  public long trainedParameters() {
    return sum(trained(), TensorSpec::count);
  }

  /** A sum over the tensors that steps change. */
  long sumOverTrained(ToLongFunction<TensorSpec> bytes) {
    return sum(trained(), bytes);
  }

  /** The parameters of the largest tensor that steps change; 0 if nobody knows the shapes. */
  public long largest() {
    return shaped ? trained().stream().mapToLong(TensorSpec::count).max().orElse(0) : 0;
  }

  private static long sum(List<TensorSpec> tensors, ToLongFunction<TensorSpec> value) {
    long sum = 0;
    for (TensorSpec tensor : tensors) {
      sum = addCapped(sum, value.applyAsLong(tensor));
    }
    return sum;
  }

  /** Counts beyond every bound must not wrap around to small ones. */
  private static long addCapped(long sum, long value) {
    return value > Long.MAX_VALUE - sum ? Long.MAX_VALUE : sum + value;
  }
}
