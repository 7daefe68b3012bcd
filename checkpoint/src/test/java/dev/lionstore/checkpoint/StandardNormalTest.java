package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class StandardNormalTest {
  private static final double TWO_TO_64 = 0x1p64;

  /** The last column: {@code statistics.NormalDist().inv_cdf} of Python 3.11. */
  @ParameterizedTest
  @CsvSource({
    "9.313225746154785e-10, 1e-6, -6.009353565530742",
    "0.0001, 1e-6, -3.71901648545568",
    "0.0249, 1e-5, -1.9616778690637862",
    "0.07, 1e-6, -1.4757910281791702",
    "0.1, 1e-6, -1.2815515655446008",
    "0.3, 1e-6, -0.5244005127080407",
    "0.5, 1e-9, 0",
    "0.75, 1e-6, 0.6744897501960817",
    "0.95, 1e-6, 1.6448536269514715",
    "0.9998, 1e-6, 3.540083799206174",
    "0.9999990463256836, 1e-6, 4.7630010342678135"
  })
  void theInverseIsTheDistributions(double probability, double tolerance, double expected) {
    double centred = (probability - 0.5) * TWO_TO_64; // fits a long, and its top bit turns over
    assertEquals(expected, StandardNormal.of((long) centred ^ Long.MIN_VALUE), tolerance);
  }

  @Test
  void noBitsGiveAnInfiniteValueAndOppositeBitsGiveOppositeValues() {
    assertEquals(-StandardNormal.of(-1), StandardNormal.of(0), 1e-5);
    for (long bits : new long[] {0, 1, 1L << 40, 1L << 52, 1L << 60, 0x123456789ABCDEFL, -1}) {
      assertTrue(Math.abs(StandardNormal.of(bits)) < 10, () -> Long.toHexString(bits));
      assertEquals(-StandardNormal.of(~bits), StandardNormal.of(bits), 1e-5);
    }
  }

  @Test
  void moreBitsGiveALargerValueAlsoWhereTableAndTailMeet() {
    double before = Double.NEGATIVE_INFINITY;
    for (long point = 0; point < 4 * 4096; point++) {
      double value = StandardNormal.of((point << 50) + 12_345);
      assertTrue(value > before, Long.toHexString(point));
      before = value;
    }
  }
}
