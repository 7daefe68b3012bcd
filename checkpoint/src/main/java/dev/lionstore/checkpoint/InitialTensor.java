package dev.lionstore.checkpoint;

import dev.lionstore.rule.Master;
import dev.lionstore.safetensors.DeclaredTensor;

/**
 * A tensor that has a shape and no values yet.
 *
 * @param declared its name, type and shape
 * @param distribution what its first values are drawn from
 */
public record InitialTensor(DeclaredTensor declared, Normal distribution) {

  /**
   * A normal distribution, or one value if nothing deviates from it.
   *
   * @param mean finite
   * @param deviation the standard deviation, finite, at least 0
   */
  public record Normal(double mean, double deviation) {
    /** What biases begin with. */
    public static final Normal ZERO = new Normal(0, 0);

    /** What scales of norms begin with. */
    public static final Normal ONE = new Normal(1, 0);

    /** More than the farthest value drawn is away from the mean, in deviations. */
    private static final double REACH = 10;

    /** Checks that a master can hold every value drawn. */
    public Normal {
      boolean fits = Master.holds((float) (Math.abs(mean) + REACH * deviation));
      if (!(deviation >= 0) || !fits) {
        throw new IllegalArgumentException(
            "mean "
                + mean
                + " and deviation "
                + deviation
                + ", expected a deviation from 0 and values of float32");
      }
    }
  }
}
