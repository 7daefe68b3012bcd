package dev.lionstore.trainer;

/**
 * A learning rate by step: a linear warm-up, then a shape; a pure function of the step, so that
 * whoever resumes needs no more than these numbers.
 *
 * @param shape what follows the warm-up
 * @param peak the highest learning rate, above 0
 * @param warmUpSteps steps until the peak is reached, 0 or more
 * @param totalSteps steps after which the floor holds, more than {@code warmUpSteps}
 * @param decaySteps how many of them {@link Shape#STABLE_DECAY} decays, at most those after the
 *     warm-up; other shapes ignore it
 * @param floorFraction where a decay ends, as a fraction of the peak, 0 to 1; {@link
 *     Shape#CONSTANT} ignores it
 */
public record LearningRateSchedule(
    Shape shape,
    double peak,
    long warmUpSteps,
    long totalSteps,
    long decaySteps,
    double floorFraction) {

  /** What follows the warm-up. */
  public enum Shape {
    /** The peak, for ever. */
    CONSTANT,
    /** Straight down to the floor. */
    LINEAR,
    /** Half a cosine down to the floor (arXiv 1608.03983, without restarts). */
    COSINE,
    /** The peak, then straight down to the floor (arXiv 2404.06395, "WSD"). */
    STABLE_DECAY
  }

  /** Refuses values outside of the ranges above. */
  public LearningRateSchedule {
    requireBetween("learning rate", peak, Double.MIN_VALUE, Double.MAX_VALUE);
    requireBetween("floor fraction", floorFraction, 0, 1);
    if (warmUpSteps < 0 || warmUpSteps >= totalSteps) {
      throw new IllegalArgumentException(
          "warm-up is "
              + warmUpSteps
              + " steps, expected 0 to less than the total of "
              + totalSteps);
    }
    if (decaySteps < 0 || decaySteps > totalSteps - warmUpSteps) {
      throw new IllegalArgumentException(
          "decay is "
              + decaySteps
              + " steps, expected 0 to the "
              + (totalSteps - warmUpSteps)
              + " after the warm-up");
    }
  }

  /** The peak at every step. */
  public static LearningRateSchedule constant(double peak) {
    return new LearningRateSchedule(Shape.CONSTANT, peak, 0, Long.MAX_VALUE, 0, 1);
  }

  /** Warm-up, then half a cosine. */
  public static LearningRateSchedule cosine(
      double peak, long warmUpSteps, long totalSteps, double floorFraction) {
    return new LearningRateSchedule(Shape.COSINE, peak, warmUpSteps, totalSteps, 0, floorFraction);
  }

  /**
   * The learning rate of the step from {@code step} to {@code step + 1}. StrictMath, because the
   * rate reaches the stored state.
   */
  public double at(long step) {
    if (step < warmUpSteps) {
      return peak * (step + 1) / warmUpSteps;
    }
    return switch (shape) {
      case CONSTANT -> peak;
      case LINEAR -> above(1 - progress(step, warmUpSteps));
      case COSINE -> above(0.5 * (1 + StrictMath.cos(Math.PI * progress(step, warmUpSteps))));
      case STABLE_DECAY -> above(1 - progress(step, totalSteps - decaySteps));
    };
  }

  /** How much of the way from a step to the last one is done, 0 to 1. */
  private double progress(long step, long from) {
    return step <= from
        ? (step == totalSteps ? 1 : 0)
        : Math.min(1, (double) (step - from) / (totalSteps - from));
  }

  private double above(double fraction) {
    return peak * (floorFraction + (1 - floorFraction) * fraction);
  }

  private static void requireBetween(String name, double value, double low, double high) {
    if (!(value >= low && value <= high)) {
      throw new IllegalArgumentException(
          name + " is " + value + ", expected a number from " + low + " to " + high);
    }
  }
}
