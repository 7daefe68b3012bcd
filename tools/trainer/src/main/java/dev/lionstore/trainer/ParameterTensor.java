package dev.lionstore.trainer;

import java.util.List;

/**
 * One tensor of the model's parameters.
 *
 * @param name unique in the model, as Llama checkpoints name it
 * @param shape dimensions in elements, the last one contiguous
 * @param initialDeviation standard deviation of the initial values around {@code initialMean}
 * @param initialMean what the initial values scatter around
 */
public record ParameterTensor(
    String name, List<Long> shape, double initialDeviation, double initialMean) {
  /** Copies the shape and refuses a dimension below 1. */
  public ParameterTensor {
    shape = List.copyOf(shape);
    for (long dimension : shape) {
      if (dimension < 1) {
        throw new IllegalArgumentException(name + " has shape " + shape + ", expected 1 or more");
      }
    }
  }

  static ParameterTensor matrix(String name, long rows, long columns, double deviation) {
    return new ParameterTensor(name, List.of(rows, columns), deviation, 0);
  }

  static ParameterTensor scale(String name, long width) {
    return new ParameterTensor(name, List.of(width), 0, 1);
  }

  /** Number of elements. */
  public long count() {
    return shape.stream().reduce(1L, Math::multiplyExact);
  }

  long[] dimensions() {
    return shape.stream().mapToLong(Long::longValue).toArray();
  }
}
