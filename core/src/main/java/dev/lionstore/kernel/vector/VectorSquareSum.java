package dev.lionstore.kernel.vector;

import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.SquareSum;
import java.util.Arrays;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * The sum of squares of {@code core/ARITHMETIC.md}, "Clipping". Each vector of partial sums takes a
 * pass of its own over a piece that stays in the first-level cache, so that one loop serves every
 * width. A square of a float is exact in double: no rounding but that of the sums.
 */
final class VectorSquareSum implements SquareSum {
  private static final VectorSpecies<Double> F64 = DoubleVector.SPECIES_PREFERRED;
  private static final int PIECE = Kernel.MAX_SLICE;

  private final float[] piece = new float[PIECE];
  private final double[] doubles = new double[PIECE];
  private final GradientSlice slice = new GradientSlice();
  private final double[] partial = new double[LANES];

  @Override
  public double of(GradientValues values, long from, int count) {
    Arrays.fill(partial, 0);
    for (int done = 0; done < count; done += PIECE) {
      int length = Math.min(PIECE, count - done);
      int padded = (length + LANES - 1) / LANES * LANES;
      slice.set(values, from + done, length, padded);
      Lanes.widen(slice, piece, padded);
      widen(piece, doubles, padded);
      for (int lane = 0; lane < LANES; lane += F64.length()) {
        addSquares(doubles, lane, padded, partial);
      }
    }
    double sum = 0;
    for (double part : partial) {
      sum += part;
    }
    return sum;
  }

  /** Vectors of half as many floats would be a second shape (see {@link Lanes}). */
  private static void widen(float[] from, double[] to, int count) {
    for (int i = 0; i < count; i++) {
      to[i] = from[i];
    }
  }

  private static void addSquares(double[] values, int lane, int count, double[] partial) {
    DoubleVector sum = DoubleVector.fromArray(F64, partial, lane);
    for (int i = lane; i < count; i += LANES) {
      DoubleVector value = DoubleVector.fromArray(F64, values, i);
      sum = value.mul(value).add(sum);
    }
    sum.intoArray(partial, lane);
  }
}
