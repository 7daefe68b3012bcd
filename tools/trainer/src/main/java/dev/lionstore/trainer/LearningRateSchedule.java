package dev.lionstore.trainer;

/**
 * Linear warm-up, then half a cosine down to a floor; a pure function of the step.
 *
 * @param peak the highest learning rate, above 0
 * @param warmUpSteps steps until the peak is reached, 0 or more
 * @param totalSteps steps after which the floor holds, more than {@code warmUpSteps}
 * @param floorFraction the floor as a fraction of the peak, 0 to 1
 */
public record LearningRateSchedule(
    double peak, long warmUpSteps, long totalSteps, double floorFraction) {
  /** Refuses values outside of the ranges above. */
  public LearningRateSchedule {
    Require.between(Double.MIN_VALUE, Double.MAX_VALUE, "learning rate", peak);
    Require.between(0, 1, "floor fraction", floorFraction);
    if (warmUpSteps < 0 || warmUpSteps >= totalSteps) {
      throw new IllegalArgumentException(
          "warm-up is "
              + warmUpSteps
              + " steps, expected 0 to less than the total of "
              + totalSteps);
    }
  }

  /**
   * The learning rate of the step from {@code step} to {@code step + 1}. StrictMath, because the
   * rate reaches the stored state.
   */
  public double at(long step) {
    if (step < warmUpSteps) {
      return peak * (step + 1) / warmUpSteps;
    }
    double progress = Math.min(1, (double) (step - warmUpSteps) / (totalSteps - warmUpSteps));
    double cosine = 0.5 * (1 + StrictMath.cos(Math.PI * progress));
    return peak * (floorFraction + (1 - floorFraction) * cosine);
  }
}
