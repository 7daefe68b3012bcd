package dev.lionstore.kernel.vector;

import dev.lionstore.kernel.GradientConversion;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.ScalarConversion;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * The conversions in vectors, piece by piece; what is short, on the heap or at the end is left to
 * the scalar form.
 */
final class VectorConversion implements GradientConversion {
  /** Below this the JVM would take longer to compile the loops than the scalar form to convert. */
  private static final long SHORT = 1 << 16;

  /** Loops count in ints, which C2 checks once. */
  private static final int PIECE = 1 << 14;

  private static final int LOW_HALF = 0xFFFF;
  private static final int MAGNITUDE = 0x7FFFFFFF;
  private static final int INFINITY = 0x7F800000;
  private static final int QUIET = 0x400000;

  private final ScalarConversion scalar = new ScalarConversion();

  private static boolean isFast(GradientValues from, MemorySegment to) {
    return from.count() >= SHORT && from.data().isNative() && to.isNative();
  }

  private static int whole(int count) {
    return count - count % Lanes.COUNT;
  }

  private static GradientValues part(GradientValues from, long begin, long count) {
    int bytes = from.type().bytes();
    return new GradientValues(from.type(), from.data().asSlice(begin * bytes, count * bytes));
  }

  private static long address(GradientValues from, long at, int count) {
    int bytes = from.type().bytes();
    return Lanes.address(from.data(), at * bytes, (long) count * bytes);
  }

  private static long floats(MemorySegment to, long at, int count) {
    return Lanes.address(to, 4 * at, 4L * count);
  }

  private static long halves(MemorySegment to, long at, int count) {
    return Lanes.address(to, 2 * at, 2L * count);
  }

  @Override
  public void widen(GradientValues from, MemorySegment to) {
    if (!isFast(from, to)) {
      scalar.widen(from, to);
      return;
    }
    for (long at = 0; at < from.count(); at += PIECE) {
      int count = (int) Math.min(PIECE, from.count() - at);
      int whole = whole(count);
      switch (from.type()) {
        case F32 -> MemorySegment.copy(from.data(), 4 * at, to, 4 * at, 4L * whole);
        case BF16 -> widenBf16(address(from, at, whole), floats(to, at, whole), whole);
        case F16 -> widenF16(address(from, at, whole), floats(to, at, whole), whole);
      }
      long rest = at + whole;
      scalar.widen(part(from, rest, count - whole), to.asSlice(4 * rest, 4L * (count - whole)));
    }
  }

  private static void widenBf16(long from, long to, int count) {
    for (int i = 0; i < count; i += Lanes.COUNT) {
      Lanes.loadBf16(from + 2L * i).intoMemorySegment(Lanes.MEMORY, to + 4L * i, Lanes.ORDER);
    }
  }

  private static void widenF16(long from, long to, int count) {
    for (int i = 0; i < count; i += Lanes.COUNT) {
      Lanes.loadF16(from + 2L * i).intoMemorySegment(Lanes.MEMORY, to + 4L * i, Lanes.ORDER);
    }
  }

  @Override
  public long narrow(GradientValues from, MemorySegment to) {
    if (!isFast(from, to)) {
      return scalar.narrow(from, to);
    }
    for (long at = 0; at < from.count(); at += PIECE) {
      int count = (int) Math.min(PIECE, from.count() - at);
      int whole = whole(count);
      boolean held =
          switch (from.type()) {
            case F32 -> narrowF32(address(from, at, whole), halves(to, at, whole), whole);
            case F16 -> narrowF16(address(from, at, whole), halves(to, at, whole), whole);
            case BF16 -> false;
          };
      long begin = held ? at + whole : at;
      long rest = at + count - begin;
      long found = scalar.narrow(part(from, begin, rest), to.asSlice(2 * begin, 2 * rest));
      if (found != ALL_HELD) {
        return begin + found;
      }
    }
    return ALL_HELD;
  }

  /** Whether every value is held. */
  private static boolean narrowF32(long from, long to, int count) {
    IntVector lost = IntVector.zero(Lanes.I32);
    for (int i = 0; i < count; i += Lanes.COUNT) {
      IntVector bits =
          IntVector.fromMemorySegment(Lanes.I32, Lanes.MEMORY, from + 4L * i, Lanes.ORDER);
      VectorMask<Integer> nan = bits.and(MAGNITUDE).compare(VectorOperators.GT, INFINITY);
      lost = lost.or(bits.and(LOW_HALF).blend(0, nan));
      IntVector high = bits.blend(bits.or(QUIET), nan).lanewise(VectorOperators.LSHR, 16);
      ((ShortVector) high.convertShape(VectorOperators.I2S, Lanes.I16, 0))
          .intoMemorySegment(Lanes.MEMORY, to + 2L * i, Lanes.ORDER);
    }
    return lost.reduceLanes(VectorOperators.OR) == 0;
  }

  /** Whether every value is held. */
  private static boolean narrowF16(long from, long to, int count) {
    IntVector lost = IntVector.zero(Lanes.I32);
    for (int i = 0; i < count; i += Lanes.COUNT) {
      IntVector bits = Lanes.loadF16(from + 2L * i).reinterpretAsInts();
      VectorMask<Integer> nan = bits.and(MAGNITUDE).compare(VectorOperators.GT, INFINITY);
      lost = lost.or(bits.and(LOW_HALF).blend(0, nan));
      IntVector high = bits.blend(bits.or(QUIET), nan).lanewise(VectorOperators.LSHR, 16);
      ((ShortVector) high.convertShape(VectorOperators.I2S, Lanes.I16, 0))
          .intoMemorySegment(Lanes.MEMORY, to + 2L * i, Lanes.ORDER);
    }
    return lost.reduceLanes(VectorOperators.OR) == 0;
  }

  @Override
  public void add(GradientValues from, MemorySegment sums) {
    if (!isFast(from, sums)) {
      scalar.add(from, sums);
      return;
    }
    for (long at = 0; at < from.count(); at += PIECE) {
      int count = (int) Math.min(PIECE, from.count() - at);
      int whole = whole(count);
      switch (from.type()) {
        case F32 -> addF32(address(from, at, whole), floats(sums, at, whole), whole);
        case BF16 -> addBf16(address(from, at, whole), floats(sums, at, whole), whole);
        case F16 -> addF16(address(from, at, whole), floats(sums, at, whole), whole);
      }
      long rest = at + whole;
      scalar.add(part(from, rest, count - whole), sums.asSlice(4 * rest, 4L * (count - whole)));
    }
  }

  private static void addF32(long from, long sums, int count) {
    for (int i = 0; i < count; i += Lanes.COUNT) {
      FloatVector sum = Lanes.loadF32(sums + 4L * i).add(Lanes.loadF32(from + 4L * i));
      sum.intoMemorySegment(Lanes.MEMORY, sums + 4L * i, Lanes.ORDER);
    }
  }

  private static void addBf16(long from, long sums, int count) {
    for (int i = 0; i < count; i += Lanes.COUNT) {
      FloatVector sum = Lanes.loadF32(sums + 4L * i).add(Lanes.loadBf16(from + 2L * i));
      sum.intoMemorySegment(Lanes.MEMORY, sums + 4L * i, Lanes.ORDER);
    }
  }

  private static void addF16(long from, long sums, int count) {
    for (int i = 0; i < count; i += Lanes.COUNT) {
      FloatVector sum = Lanes.loadF32(sums + 4L * i).add(Lanes.loadF16(from + 2L * i));
      sum.intoMemorySegment(Lanes.MEMORY, sums + 4L * i, Lanes.ORDER);
    }
  }
}
