package dev.lionstore.kernel;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** The reference, value by value. */
public final class ScalarConversion implements GradientConversion {
  private static final ValueLayout.OfFloat F32 =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort U16 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final int LOW_HALF = 0xFFFF;
  private static final int QUIET = 0x400000;

  @Override
  public void widen(GradientValues from, MemorySegment to) {
    for (long i = 0; i < from.count(); i++) {
      to.set(F32, 4 * i, from.get(i));
    }
  }

  @Override
  public long narrow(GradientValues from, MemorySegment to) {
    for (long i = 0; i < from.count(); i++) {
      float value = from.get(i);
      int bits = Float.floatToRawIntBits(value);
      if ((bits & LOW_HALF) != 0 && !Float.isNaN(value)) {
        return i;
      }
      // A NaN whose only bits are in the low half would become infinity.
      to.set(U16, 2 * i, (short) ((bits | (Float.isNaN(value) ? QUIET : 0)) >>> 16));
    }
    return ALL_HELD;
  }

  @Override
  public void add(GradientValues from, MemorySegment sums) {
    for (long i = 0; i < from.count(); i++) {
      sums.set(F32, 4 * i, sums.get(F32, 4 * i) + from.get(i));
    }
  }
}
