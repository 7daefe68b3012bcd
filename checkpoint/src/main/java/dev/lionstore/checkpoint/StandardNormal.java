package dev.lionstore.checkpoint;

/**
 * Standard normal values from uniform bits, by the inverse of the distribution. Its values at 4,096
 * points, and all beyond the outermost, are PPND7 of Wichura's algorithm AS 241 (Applied Statistics
 * 37, 1988), whose relative error is near 1e-7; between points they lie on lines, which halves the
 * time. It is built of operations that every machine rounds alike.
 */
final class StandardNormal {
  private static final int POINT_BITS = 12;
  private static final int POINTS = 1 << POINT_BITS;
  private static final int FRACTION_BITS = Long.SIZE - POINT_BITS;
  private static final long FRACTION_MASK = (1L << FRACTION_BITS) - 1;
  private static final double FRACTION_UNIT = 1.0 / (1L << FRACTION_BITS);

  private static final double HALF = 0.5;
  private static final double CENTRE = 0.425;
  private static final double CENTRE_SQUARED = 0.180625;
  private static final double FAR = 5;
  private static final double NEAR_SHIFT = 1.6;

  /** The values that are exceeded by all but i of 4,096; the first stands for none. */
  private static final double[] TABLE = new double[POINTS];

  static {
    for (int i = 1; i < POINTS; i++) {
      TABLE[i] = inverse((double) i / POINTS - HALF);
    }
  }

  private StandardNormal() {}

  /**
   * The value at a point of the distribution.
   *
   * @param bits uniform: the probability of a lower value, as a fraction of 2<sup>64</sup>
   */
  static double of(long bits) {
    int point = (int) (bits >>> FRACTION_BITS);
    double fraction = ((bits & FRACTION_MASK) + HALF) * FRACTION_UNIT;
    if (point == 0 || point == POINTS - 1) {
      // From the nearer end, so that none of the bits is lost.
      double fromEnd = (point == 0 ? fraction : 1 - fraction) / POINTS;
      return point == 0 ? -tail(fromEnd) : tail(fromEnd);
    }
    double below = TABLE[point];
    return below + fraction * (TABLE[point + 1] - below);
  }

  /**
   * The inverse.
   *
   * @param q the probability of a lower value, less 1/2
   */
  private static double inverse(double q) {
    if (Math.abs(q) > CENTRE) {
      return Math.copySign(tail(HALF - Math.abs(q)), q);
    }
    double r = CENTRE_SQUARED - q * q;
    double numerator =
        ((5.9109374720e+1 * r + 1.5929113202e+2) * r + 5.0434271938e+1) * r + 3.3871327179;
    double denominator = ((6.7187563600e+1 * r + 7.8757757664e+1) * r + 1.7895169469e+1) * r + 1;
    return q * numerator / denominator;
  }

  /** The value that is exceeded with that probability, below 0.075. */
  private static double tail(double probability) {
    double r = Math.sqrt(-StrictMath.log(probability));
    if (r <= FAR) {
      r -= NEAR_SHIFT;
      double numerator =
          ((1.7023821103e-1 * r + 1.3067284816) * r + 2.7568153900) * r + 1.4234372777;
      return numerator / ((1.2021132975e-1 * r + 7.3700164250e-1) * r + 1);
    }
    r -= FAR;
    double numerator =
        ((1.7337203997e-2 * r + 4.2868294337e-1) * r + 3.0812263860) * r + 6.6579051150;
    return numerator / ((1.2258202635e-2 * r + 2.4197894225e-1) * r + 1);
  }
}
