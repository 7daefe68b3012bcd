package dev.lionstore.rule;

import dev.lionstore.Rounding;
import java.util.List;

/** Lion: the sign of an interpolated momentum (arXiv 2302.06675; core/ARITHMETIC.md). */
public final class Lion implements UpdateRule {
  /** With momentum in bfloat16. */
  public static final Lion RULE = new Lion("lion", Plane.Type.BF16);

  /** With momentum in float32: what rounding is compared with. */
  public static final Lion F32_RULE = new Lion("lion-f32", Plane.Type.F32);

  /** The momentum of {@link #RULE}. */
  public static final Plane MOMENTUM = RULE.momentum;

  private final String name;
  private final Plane momentum;

  private Lion(String name, Plane.Type type) {
    this.name = name;
    this.momentum = Plane.momentum(type);
  }

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
    return name;
  }

  @Override
  public List<Plane> statePlanes() {
    return List.of(momentum);
  }

  @Override
  public List<String> hyperparameters() {
    return List.of("learning_rate", "beta1", "beta2", "weight_decay");
  }

  @Override
  public boolean countsSteps() {
    return false;
  }

  @Override
  public Lion withFloatMoments() {
    return F32_RULE;
  }

  @Override
  public double[] defaults() {
    return new double[] {1e-4, 0.9, 0.99, 0};
  }

  @Override
  public LionCoefficients coefficients(
      double[] hyperparameters, double gradientScale, long number) {
    double lr = Bounds.requireNonNegative("learning rate", hyperparameters[0]);
    double beta1 = Bounds.requireBeta("beta1", hyperparameters[1]);
    double beta2 = Bounds.requireBeta("beta2", hyperparameters[2]);
    double lambda = Bounds.requireNonNegative("weight decay", hyperparameters[3]);
    Bounds.requireDecay(lr, lambda);
    Bounds.requireFloat("learning rate", lr);
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
      float m = momentum.read(state[1]);

      float g = gradient * k.gradientScale;
      float c = Math.fma(g, k.o1, m * k.b1);
      float theta1 = Master.saturate(theta * k.decay - k.lr * sign(c));
      float m1 = Math.fma(g, k.o2, m * k.b2);

      state[0] = Float.floatToRawIntBits(theta1);
      state[1] = momentum.write(m1, rounding, random16[0]);
    };
  }

  /** -1, 0 or 1; 0 for both zeros. */
  private static float sign(float value) {
    return value > 0 ? 1 : value < 0 ? -1 : 0;
  }
}
