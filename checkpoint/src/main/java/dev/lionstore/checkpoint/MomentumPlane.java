package dev.lionstore.checkpoint;

import dev.lionstore.FormatException;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.Bf16;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;

/**
 * Where a tensor's momentum goes, piece by piece.
 *
 * @param source what the error names
 * @param name what the source calls it
 * @param values its values in the plane, writable
 */
record MomentumPlane(Path source, String name, MemorySegment values) {
  private static final ValueLayout.OfShort BF16 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final float LARGEST = Bf16.toFloat((short) Bf16.LARGEST_BITS);

  /**
   * Sets consecutive values, rounded to nearest, ties to even.
   *
   * @param from the index of the first element
   * @return how many were not bfloat16 already
   * @throws FormatException naming the tensor, the element and the value, if it is NaN, infinite or
   *     larger than every bfloat16
   */
  long set(long from, GradientValues given) throws FormatException {
    long rounded = 0;
    for (long i = 0; i < given.count(); i++) {
      float value = given.get(i);
      if (!(Math.abs(value) <= LARGEST)) {
        throw new FormatException(
            source,
            "tensor " + Text.quoted(name) + ", element " + (from + i),
            value,
            "a finite number of magnitude at most " + LARGEST + ", the largest of bf16");
      }
      short nearest = Bf16.nearest(value);
      values.set(BF16, Short.BYTES * (from + i), nearest);
      if (Bf16.toFloat(nearest) != value) {
        rounded++;
      }
    }
    return rounded;
  }
}
