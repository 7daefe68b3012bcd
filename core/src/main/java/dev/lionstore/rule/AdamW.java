package dev.lionstore.rule;

import dev.lionstore.Rounding;
import java.util.List;

/**
 * AdamW: momentum divided by the root of the second moment, decoupled weight decay (arXiv
 * 1711.05101; core/ARITHMETIC.md). The operations are those of PyTorch's {@code torch.optim.AdamW}
 * on a CPU, one tensor at a time.
 */
public final class AdamW implements UpdateRule {
  /** With moments in float32, as PyTorch has them. */
  public static final AdamW RULE = new AdamW("adamw", Plane.Type.F32);

  /** With moments in bfloat16. */
  public static final AdamW BF16_RULE = new AdamW("adamw-bf16", Plane.Type.BF16);

  private final String name;
  private final Plane momentum;
  private final Plane secondMoment;

  private AdamW(String name, Plane.Type type) {
    this.name = name;
    this.momentum = Plane.momentum(type);
    this.secondMoment = Plane.secondMoment(type);
  }

  /**
   * The coefficients of one AdamW step; n is the number of the tensor's step.
   *
   * @param o1 1 - β1
   * @param b2 β2
   * @param o2 1 - β2
   * @param root √(1 - β2ⁿ)
   * @param eps what is added to the root of the second moment
   * @param step -lr / (1 - β1ⁿ)
   * @param decay 1 - lr·λ
   * @param gradientScale what each gradient is multiplied with
   */
  public record AdamWCoefficients(
      float o1,
      float b2,
      float o2,
      float root,
      float eps,
      float step,
      float decay,
      float gradientScale)
      implements Coefficients {

    /** Whether momentum moves from where it is, or, far, back from the gradient, as lerp does. */
    public boolean movesLittle() {
      return o1 < 0.5f;
    }

    /** What the way from momentum to the gradient is multiplied with. */
    public float share() {
      return movesLittle() ? o1 : o1 - 1;
    }
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public List<Plane> statePlanes() {
    return List.of(momentum, secondMoment);
  }

  @Override
  public List<String> hyperparameters() {
    return List.of("learning_rate", "beta1", "beta2", "eps", "weight_decay");
  }

  @Override
  public boolean countsSteps() {
    return true;
  }

  @Override
  public AdamW withFloatMoments() {
    return RULE;
  }

  @Override
  public double[] defaults() {
    return new double[] {1e-3, 0.9, 0.999, 1e-8, 0.01};
  }

  @Override
  public AdamWCoefficients coefficients(
      double[] hyperparameters, double gradientScale, long number) {
    double lr = Bounds.requireNonNegative("learning rate", hyperparameters[0]);
    double beta1 = Bounds.requireBeta("beta1", hyperparameters[1]);
    double beta2 = Bounds.requireBeta("beta2", hyperparameters[2]);
    double lambda = Bounds.requireNonNegative("weight decay", hyperparameters[4]);
    Bounds.requireDecay(lr, lambda);
    return new AdamWCoefficients(
        (float) (1 - beta1),
        (float) beta2,
        (float) (1 - beta2),
        (float) Math.sqrt(1 - StrictMath.pow(beta2, (double) number)),
        requireEps(hyperparameters[3]),
        Bounds.requireFloat(
            "learning rate / (1 - beta1^" + number + "),",
            -lr / (1 - StrictMath.pow(beta1, (double) number))),
        (float) (1 - lr * lambda),
        (float) gradientScale);
  }

  @Override
  public ScalarStep scalar(Coefficients coefficients, Rounding rounding) {
    AdamWCoefficients k = (AdamWCoefficients) coefficients;
    return (gradient, state, random16) -> {
      float theta = Float.intBitsToFloat(state[0]);
      float m = momentum.read(state[1]);
      float v = secondMoment.read(state[2]);

      float g = gradient * k.gradientScale;
      float way = Math.clamp(g - m, -Float.MAX_VALUE, Float.MAX_VALUE);
      float m1 = Math.fma(k.share(), way, k.movesLittle() ? m : g);
      float v1 = Math.min(Math.fma(k.o2 * g, g, v * k.b2), Float.MAX_VALUE);
      float denominator = (float) Math.sqrt(v1) / k.root + k.eps;
      float theta1 = Master.saturate(theta * k.decay + k.step * m1 / denominator);

      state[0] = Float.floatToRawIntBits(theta1);
      state[1] = momentum.write(m1, rounding, random16[0]);
      state[2] = secondMoment.write(v1, rounding, random16[1]);
    };
  }

  static float requireEps(double value) {
    float rounded = (float) value;
    if (!(rounded > 0 && rounded < Float.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException(
          "eps is " + value + ", expected a number > 0 within float32");
    }
    return rounded;
  }
}
