package dev.lionstore.rule;

import dev.lionstore.Rounding;
import dev.lionstore.rule.Lion.LionCoefficients;
import java.util.List;

/**
 * Lion as lion-pytorch steps a model that is bfloat16 alone, to compare with: gradients, and the
 * result of every operation, are rounded to the nearest bfloat16, and there is no exact master. The
 * first step rounds the weights; remainders are zero from then on.
 */
public final class Bf16Lion implements UpdateRule {
  /** The one instance. */
  public static final Bf16Lion RULE = new Bf16Lion();

  private Bf16Lion() {}

  @Override
  public String name() {
    return "lion-bf16";
  }

  @Override
  public List<Plane> statePlanes() {
    return Lion.RULE.statePlanes();
  }

  @Override
  public List<String> hyperparameters() {
    return Lion.RULE.hyperparameters();
  }

  @Override
  public boolean countsSteps() {
    return false;
  }

  @Override
  public UpdateRule withFloatMoments() {
    return Lion.F32_RULE;
  }

  @Override
  public double[] defaults() {
    return Lion.RULE.defaults();
  }

  @Override
  public LionCoefficients coefficients(
      double[] hyperparameters, double gradientScale, long number) {
    return Lion.RULE.coefficients(hyperparameters, gradientScale, number);
  }

  @Override
  public ScalarStep scalar(Coefficients coefficients, Rounding rounding) {
    LionCoefficients k = (LionCoefficients) coefficients;
    return (gradient, state, random16) -> {
      float theta = rounded(Float.intBitsToFloat(state[0]));
      float m = Bf16.toFloat((short) state[1]);

      float g = rounded(gradient * k.gradientScale());
      float c = rounded(Math.fma(g, k.o1(), rounded(m * k.b1())));
      float theta1 = rounded(rounded(theta * k.decay()) - k.lr() * Math.signum(c));
      float m1 = Math.fma(g, k.o2(), rounded(m * k.b2()));

      state[0] = Float.floatToRawIntBits(theta1);
      state[1] = Bf16.nearest(m1);
    };
  }

  private static float rounded(float value) {
    return Bf16.toFloat(Bf16.nearest(value));
  }
}
