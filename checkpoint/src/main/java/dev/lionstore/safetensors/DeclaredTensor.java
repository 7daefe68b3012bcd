package dev.lionstore.safetensors;

import java.util.List;

/**
 * A tensor as a header declares it, without its place: a value that exists has a size.
 *
 * @param name 1 to 65,536 characters of well-formed Unicode without NUL, not {@code __metadata__}
 * @param type the element type
 * @param shape the dimensions in elements, row-major, each at least 0, at most 64 of them; empty
 *     for a scalar, which has one element
 */
public record DeclaredTensor(String name, SafetensorsType type, List<Long> shape) {
  /**
   * Checks all of it.
   *
   * @throws IllegalArgumentException if the name, a dimension or the rank is outside its bounds, or
   *     the size is not whole bytes or over 2<sup>63</sup> - 1 bits
   */
  public DeclaredTensor {
    if (!Names.isTensorName(name)) {
      throw new IllegalArgumentException(
          "name is " + Names.quote(name) + ", expected " + Names.TENSOR_NAME);
    }
    shape = List.copyOf(shape);
    if (shape.size() > SafetensorsFormat.MAX_RANK || shape.stream().anyMatch(d -> d < 0)) {
      throw new IllegalArgumentException(
          "shape of " + Names.quote(name) + " is " + shape + ", expected at most 64 sizes >= 0");
    }
    try {
      SafetensorsFormat.bytes(type, SafetensorsFormat.elements(shape));
    } catch (ArithmeticException e) {
      throw new IllegalArgumentException(
          "size of " + Names.quote(name) + ", " + type + " " + shape + ": " + e.getMessage(), e);
    }
  }

  /** The number of elements: the product of the shape. */
  public long count() {
    return SafetensorsFormat.elements(shape);
  }

  /** The size in bytes. */
  public long bytes() {
    return SafetensorsFormat.bytes(type, count());
  }
}
