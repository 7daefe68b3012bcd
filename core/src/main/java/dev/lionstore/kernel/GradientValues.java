package dev.lionstore.kernel;

import dev.lionstore.ElementType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * A tensor's gradient in native or mapped memory, contiguous, row-major, little-endian.
 *
 * @param type how each value is stored
 * @param data the values; the caller owns the memory and keeps it unchanged until the step has
 *     ended
 */
public record GradientValues(ElementType type, MemorySegment data) {
  private static final ValueLayout.OfFloat F32 =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort U16 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** How many values there are. */
  public long count() {
    return data.byteSize() / type.bytes();
  }

  /** The values from one index to before another. */
  public GradientValues slice(long from, long to) {
    long bytes = type.bytes();
    return new GradientValues(type, data.asSlice(from * bytes, (to - from) * bytes));
  }

  /** One value, widened exactly. */
  public float get(long index) {
    return switch (type) {
      case F32 -> data.get(F32, index * 4);
      case F16 -> Float.float16ToFloat(data.get(U16, index * 2));
      case BF16 -> Float.intBitsToFloat(data.get(U16, index * 2) << 16);
    };
  }
}
