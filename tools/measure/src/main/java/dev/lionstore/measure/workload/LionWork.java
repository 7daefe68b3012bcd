package dev.lionstore.measure.workload;

import dev.lionstore.Rounding;

/** What a step of Lion is for each parameter, however it is computed. */
public final class LionWork {
  /** Four streams of 2 bytes read, three written (BENCHMARKS.md, "The limit"). */
  public static final int BYTES = 14;

  /**
   * Operations of float32 that core/ARITHMETIC.md names, a fused one counted as two: one for g,
   * three for c, three for the weight, three for the momentum.
   */
  private static final int FLOAT_OPERATIONS = 10;

  /**
   * Operations of integers for the random bits: eleven for a hash of two elements and its number's
   * product, half of them each; a shift or a mask, an addition and a shift for each.
   */
  private static final double RANDOM_OPERATIONS = 5.5 + 3;

  private LionWork() {}

  public static double operations(Rounding rounding) {
    return switch (rounding) {
      case NEAREST -> FLOAT_OPERATIONS;
      case STOCHASTIC -> FLOAT_OPERATIONS + RANDOM_OPERATIONS;
    };
  }

  public static double operationsPerByte(Rounding rounding) {
    return operations(rounding) / BYTES;
  }
}
