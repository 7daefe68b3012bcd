package dev.lionstore.safetensors;

import java.util.List;

/**
 * The layout of a safetensors file, and the arithmetic on its sizes.
 *
 * <pre>
 * 0        8            8+N               size
 * +--------+------------+-----------------+
 * | N: u64 | JSON       | data section    |
 * +--------+------------+-----------------+
 * </pre>
 *
 * All integers are little-endian. The JSON is UTF-8, begins with <code>{</code> and may end in
 * spaces. {@code data_offsets} count from the start of the data section.
 */
final class SafetensorsFormat {
  /** Bytes of the length that precedes the JSON. */
  static final int LENGTH_BYTES = 8;

  /** The limit of the reference implementation, which also bounds what a reader allocates. */
  static final int MAX_HEADER_BYTES = 100_000_000;

  /** The shortest JSON object. */
  static final int MIN_HEADER_BYTES = 2;

  /** The writer pads the JSON so that the data section starts on a multiple of this. */
  static final int ALIGNMENT_BYTES = 8;

  /** NumPy's and PyTorch's limit; it keeps a shape's memory bounded. */
  static final int MAX_RANK = 64;

  static final String METADATA = "__metadata__";
  static final String DTYPE = "dtype";
  static final String SHAPE = "shape";
  static final String DATA_OFFSETS = "data_offsets";

  static final String SUFFIX = ".safetensors";
  static final String INDEX_SUFFIX = ".safetensors.index.json";

  private SafetensorsFormat() {}

  /**
   * The number of elements. The other dimensions may not overflow even where one of them is 0, so
   * that the answer does not depend on the order in which they are multiplied.
   *
   * @throws ArithmeticException if a product is over 2<sup>63</sup> - 1
   */
  static long elements(List<Long> shape) {
    long product = 1;
    boolean empty = false;
    for (long dimension : shape) {
      if (dimension == 0) {
        empty = true;
      } else {
        product = Math.multiplyExact(product, dimension);
      }
    }
    return empty ? 0 : product;
  }

  /**
   * The size in bytes of that many elements.
   *
   * @throws ArithmeticException if the bits are over 2<sup>63</sup> - 1 or no whole bytes
   */
  static long bytes(SafetensorsType type, long elements) {
    long bits = Math.multiplyExact(elements, (long) type.bits());
    if (bits % Byte.SIZE != 0) {
      throw new ArithmeticException(bits + " bits are no whole bytes");
    }
    return bits / Byte.SIZE;
  }
}
