package dev.lionstore.checkpoint;

import dev.lionstore.FormatException;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.Master;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;

/**
 * Where a tensor's master goes, piece by piece; the builder's own way takes a tensor at once and so
 * shows no progress within it.
 *
 * @param source what the error names
 * @param name the tensor's
 * @param weights its values in that plane, writable
 * @param remainder its values in that plane, writable
 */
record MasterPlanes(Path source, String name, MemorySegment weights, MemorySegment remainder) {
  private static final ValueLayout.OfShort I16 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /**
   * Sets consecutive masters, exactly.
   *
   * @param from the index of the first element
   * @throws FormatException naming the tensor, the element and the value, if no master holds it
   */
  void set(long from, GradientValues values) throws FormatException {
    for (long i = 0; i < values.count(); i++) {
      float value = values.get(i);
      if (!Master.holds(value)) {
        throw new FormatException(
            source,
            "tensor " + name + ", element " + (from + i),
            value,
            "a finite number of magnitude at most "
                + Float.intBitsToFloat(Master.LARGEST_BITS)
                + "; if it is no parameter, --carry leaves it as it is");
      }
      int bits = Float.floatToRawIntBits(value);
      weights.set(I16, Short.BYTES * (from + i), Master.weights(bits));
      remainder.set(I16, Short.BYTES * (from + i), Master.remainder(bits));
    }
  }
}
