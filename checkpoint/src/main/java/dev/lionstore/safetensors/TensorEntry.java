package dev.lionstore.safetensors;

import java.util.List;

/**
 * A tensor of a file, with its place.
 *
 * @param name the tensor's name
 * @param type the element type
 * @param shape the dimensions in elements, row-major; empty for a scalar
 * @param begin the offset in bytes of the first byte, from the start of the data section
 * @param end the offset in bytes behind the last byte; {@code begin} if there are no elements
 */
public record TensorEntry(
    String name, SafetensorsType type, List<Long> shape, long begin, long end) {
  /**
   * Checks what {@link DeclaredTensor} does, and that the place fits the size.
   *
   * @throws IllegalArgumentException if it does not
   */
  public TensorEntry {
    DeclaredTensor declared = new DeclaredTensor(name, type, shape);
    shape = declared.shape();
    if (begin < 0 || end < begin || end - begin != declared.bytes()) {
      throw new IllegalArgumentException(
          "offsets of %s are %d to %d, expected a span of %d bytes"
              .formatted(Names.quote(name), begin, end, declared.bytes()));
    }
  }

  /** The number of elements: the product of the shape. */
  public long count() {
    return SafetensorsFormat.elements(shape);
  }

  /** The size in bytes. */
  public long bytes() {
    return end - begin;
  }

  /** The same tensor without its place, as a writer wants it. */
  public DeclaredTensor declaration() {
    return new DeclaredTensor(name, type, shape);
  }
}
