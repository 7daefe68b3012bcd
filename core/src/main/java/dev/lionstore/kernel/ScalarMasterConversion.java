package dev.lionstore.kernel;

import dev.lionstore.rule.Master;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** The reference, value by value. */
public final class ScalarMasterConversion implements MasterConversion {
  private static final ValueLayout.OfShort I16 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt I32 =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  @Override
  public void join(MemorySegment weights, MemorySegment remainder, MemorySegment to) {
    Master.join(weights, remainder, to);
  }

  @Override
  public long mismatch(MemorySegment weights, MemorySegment remainder, GradientValues values) {
    for (long i = 0; i < values.count(); i++) {
      int master = Master.bits(weights.get(I16, 2 * i), remainder.get(I16, 2 * i));
      if (!isGiven(values, i, master)) {
        return i;
      }
    }
    return EQUAL;
  }

  /**
   * Whether a value is what a parameter of its type is given of a master.
   *
   * @param index of the value
   * @param master the master's bits
   */
  public static boolean isGiven(GradientValues values, long index, int master) {
    MemorySegment data = values.data();
    return switch (values.type()) {
      case F32 -> data.get(I32, 4 * index) == master;
      case BF16 -> data.get(I16, 2 * index) == Master.weights(master);
      case F16 -> data.get(I16, 2 * index) == Float.floatToFloat16(Float.intBitsToFloat(master));
    };
  }
}
