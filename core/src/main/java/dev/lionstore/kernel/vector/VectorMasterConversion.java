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
    long at = 0;
    if (values.type() != ElementType.F16
        && isFast(values.count(), weights, remainder, values.data())) {
      for (int whole; (whole = whole(values.count() - at)) > 0; at += whole) {
        if (!isEqual(weights, remainder, values, at, whole)) {
          break;
        }
      }
    }
    MemorySegment rest = values.data().asSlice(at * values.type().bytes());
    long found =
        scalar.mismatch(
            weights.asSlice(2 * at),
            remainder.asSlice(2 * at),
            new GradientValues(values.type(), rest));
    return found == EQUAL ? EQUAL : at + found;
  }

  private static boolean isEqual(
      MemorySegment weights, MemorySegment remainder, GradientValues values, long at, int count) {
    // Not MemorySegment.mismatch: where a page of a mapped file is gone, it ends the process.
    return values.type() == ElementType.F32
        ? Lanes.equalsMaster(
            halves(weights, at, count),
            halves(remainder, at, count),
            floats(values.data(), at, count),
            count)
        : Lanes.equalsWeightsOfMaster(
            halves(weights, at, count), halves(values.data(), at, count), count);
  }
}
