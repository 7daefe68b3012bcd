package dev.lionstore.rule;

import dev.lionstore.Rounding;
import java.util.List;

/** Lion: the sign of an interpolated momentum (arXiv 2302.06675; core/ARITHMETIC.md). */
public final class Lion implements UpdateRule {
  /** The one instance: a rule has no state. */
  public static final Lion RULE = new Lion();

  /** {@code exp_avg} in PyTorch, {@code mu} in optax. */
  public static final Plane MOMENTUM = new Plane("momentum", "exp_avg", Plane.Type.BF16);

  private Lion() {}

  /**
   * The coefficients of one Lion step.
   *
   * @param b1 β1
   * @param o1 1 - β1
   * @param b2 β2
   * @param o2 1 - β2
   * @param decay 1 - lr·λ
   * @param lr the learning rate
   * @param gradientScale what each gradient is multiplied with
   */
  public record LionCoefficients(
      float b1, float o1, float b2, float o2, float decay, float lr, float gradientScale)
      implements Coefficients {}

  @Override
  public String name() {
    return "lion";
  }

  @Override
  public List<Plane> statePlanes() {
    return List.of(MOMENTUM);
  }

  @Override
  public List<String> hyperparameters() {
    return List.of("learning_rate", "beta1", "beta2", "weight_decay");
  }

  @Override
  public LionCoefficients coefficients(double[] hyperparameters, double gradientScale) {
    double lr = requireNonNegative("learning rate", hyperparameters[0]);
    double beta1 = requireBeta("beta1", hyperparameters[1]);
    double beta2 = requireBeta("beta2", hyperparameters[2]);
    double lambda = requireNonNegative("weight decay", hyperparameters[3]);
    if (!(lr * lambda < 1)) {
      throw new IllegalArgumentException(
          "learning rate "
              + lr
              + " x weight decay "
              + lambda
              + " is "
              + lr * lambda
              + ", expected less than 1");
    }
    if ((float) lr == Float.POSITIVE_INFINITY) {
      throw new IllegalArgumentException("learning rate " + lr + " is beyond float32");
    }
    return new LionCoefficients(
        (float) beta1,
        (float) (1 - beta1),
        (float) beta2,
        (float) (1 - beta2),
        (float) (1 - lr * lambda),
        (float) lr,
        (float) gradientScale);
  }

  @Override
  public ScalarStep scalar(Coefficients coefficients, Rounding rounding) {
    LionCoefficients k = (LionCoefficients) coefficients;
    return (gradient, state, random16) -> {
      float theta = Float.intBitsToFloat(state[0]);
      float m = Bf16.toFloat((short) state[1]);

      float g = gradient * k.gradientScale;
      float c = Math.fma(g, k.o1, m * k.b1);
      float theta1 = Master.saturate(theta * k.decay - k.lr * sign(c));
      float m1 = Math.fma(g, k.o2, m * k.b2);

      state[0] = Float.floatToRawIntBits(theta1);
      state[1] =
          switch (rounding) {
            case NEAREST -> Bf16.nearest(m1);
            case STOCHASTIC -> Bf16.stochastic(m1, random16);
          };
    };
  }

  /** -1, 0 or 1; 0 for both zeros. */
  private static float sign(float value) {
    return value > 0 ? 1 : value < 0 ? -1 : 0;
  }

  static double requireBeta(String name, double value) {
    if (!(value >= 0 && value < 1)) {
      throw new IllegalArgumentException(
          name + " is " + value + ", expected 0 <= " + name + " < 1");
    }
    return value;
  }

  static double requireNonNegative(String name, double value) {
    if (!(value >= 0 && value < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException(name + " is " + value + ", expected a finite number >= 0");
    }
    return value;
  }
}
