package dev.lionstore.kernel.vector;

import dev.lionstore.ElementType;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.MasterConversion;
import dev.lionstore.kernel.ScalarMasterConversion;
import java.lang.foreign.MemorySegment;

/**
 * The same in vectors, piece by piece; what is short, on the heap or at the end, and the element of
 * a piece that differs, are left to the scalar form.
 */
final class VectorMasterConversion implements MasterConversion {
  /** Below this the JVM would take longer to compile the loops than the scalar form to run. */
  private static final long SHORT = 1 << 16;

  /** Loops count in ints, which C2 checks once. */
  private static final int PIECE = 1 << 12;

  private final ScalarMasterConversion scalar = new ScalarMasterConversion();

  private static boolean isFast(
      long count, MemorySegment weights, MemorySegment remainder, MemorySegment floats) {
    return count >= SHORT && weights.isNative() && remainder.isNative() && floats.isNative();
  }

  private static int whole(long count) {
    int most = (int) Math.min(PIECE, count);
    return most - most % Lanes.COUNT;
  }

  private static long halves(MemorySegment plane, long at, int count) {
    return Lanes.address(plane, 2 * at, 2L * count);
  }

  private static long floats(MemorySegment values, long at, int count) {
    return Lanes.address(values, 4 * at, 4L * count);
  }

  @Override
  public void join(MemorySegment weights, MemorySegment remainder, MemorySegment to) {
    long count = to.byteSize() / Float.BYTES;
    long at = 0;
    if (isFast(count, weights, remainder, to)) {
      for (int whole; (whole = whole(count - at)) > 0; at += whole) {
        Lanes.copyMaster(
            halves(weights, at, whole), halves(remainder, at, whole), floats(to, at, whole), whole);
      }
    }
    scalar.join(weights.asSlice(2 * at), remainder.asSlice(2 * at), to.asSlice(4 * at));
  }

  @Override
  public long mismatch(MemorySegment weights, MemorySegment remainder, GradientValues values) {
    return switch (values.type()) {
      case F32 -> mismatchF32(weights, remainder, values.data());
      case BF16 -> {
        // What remains of a master cannot change its weights.
        long found = values.data().mismatch(weights.asSlice(0, values.data().byteSize()));
        yield found < 0 ? EQUAL : found / ElementType.BF16.bytes();
      }
      case F16 -> scalar.mismatch(weights, remainder, values);
    };
  }

  private long mismatchF32(MemorySegment weights, MemorySegment remainder, MemorySegment values) {
    long count = values.byteSize() / Float.BYTES;
    long at = 0;
    if (isFast(count, weights, remainder, values)) {
      for (int whole; (whole = whole(count - at)) > 0; at += whole) {
        boolean equal =
            Lanes.equalsMaster(
                halves(weights, at, whole),
                halves(remainder, at, whole),
                floats(values, at, whole),
                whole);
        if (!equal) {
          break;
        }
      }
    }
    long found =
        scalar.mismatch(
            weights.asSlice(2 * at),
            remainder.asSlice(2 * at),
            new GradientValues(ElementType.F32, values.asSlice(4 * at)));
    return found == EQUAL ? EQUAL : at + found;
  }
}
