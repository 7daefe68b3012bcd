package dev.lionstore;

import java.util.List;

/**
 * A named tensor of parameters.
 *
 * @param name non-empty, without NUL; never used as a path
 * @param shape the dimensions, outermost first; empty for a scalar; their product fits 64 bits
 * @param group the name of its parameter group
 * @param role whether steps may change it
 */
public record TensorSpec(String name, List<Long> shape, String group, Role role) {
  /** Whether steps may change a tensor. */
  public enum Role {
    /** Steps change it; it has the state of its rule. */
    TRAINABLE,
    /** Steps never touch it; it has weights and remainder only. */
    FROZEN
  }

  /** Validates. */
  public TensorSpec {
    if (name.isEmpty() || name.indexOf('\0') >= 0) {
      throw new IllegalArgumentException(
          "tensor name '" + name.replace('\0', '?') + "' is empty or holds NUL");
    }
    shape = List.copyOf(shape);
    for (long dimension : shape) {
      if (dimension < 0) {
        throw new IllegalArgumentException("tensor " + name + ": negative dimension in " + shape);
      }
    }
    count(name, shape);
  }

  /** How many parameters it has. */
  public long count() {
    return count(name, shape);
  }

  /** Whether steps may change it. */
  public boolean trainable() {
    return role == Role.TRAINABLE;
  }

  private static long count(String name, List<Long> shape) {
    if (shape.contains(0L)) {
      return 0;
    }
    long count = 1;
    for (long dimension : shape) {
      try {
        count = Math.multiplyExact(count, dimension);
      } catch (ArithmeticException e) {
        throw new IllegalArgumentException(
            "tensor " + name + ": shape " + shape + " has more than 2^63 - 1 elements", e);
      }
    }
    return count;
  }
}
