package dev.lionstore.rule;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LionTest {
  private static final ParameterGroup PLAIN = ParameterGroup.ofDefaults();

  private static float step(float master, float momentum, float gradient, double... settings) {
    int[] state = {Float.floatToRawIntBits(master), Float.floatToRawIntBits(momentum) >>> 16};
    UpdateRules.LION
        .interpreter()
        .prepare(UpdateRules.LION.coefficients(settings, 1, 1), Rounding.NEAREST)
        .apply(gradient, state, new int[1]);
    return Float.intBitsToFloat(state[0]);
  }

  @Test
  void movesByTheLearningRateAgainstTheSign() {
    assertEquals(1f - 0.5f, step(1, 0, 3, 0.5, 0.9, 0.99, 0));
    assertEquals(1f + 0.5f, step(1, 0, -1e-30f, 0.5, 0.9, 0.99, 0));
  }

  @Test
  void aParameterWithoutSignalOnlyDecays() {
    assertEquals(1f * (float) (1 - 0.5 * 0.1), step(1, 0, 0, 0.5, 0.9, 0.99, 0.1));
    assertEquals(-1f, step(-1, 0, -0f, 0.5, 0.9, 0.99, 0));
  }

  @Test
  void aZeroKeepsItsSignWithoutSignal() {
    assertEquals(0x80000000, Float.floatToRawIntBits(step(-0f, 0, -0f, 0.5, 0.9, 0.99, 0)));
  }

  @Test
  void theUpdateIsFusedWhereTheReferenceIs() {
    // m·b1 rounds to a value that g·o1 does not cancel, though the exact sum has the other sign.
    float momentum = Float.intBitsToFloat(0x3F810000);
    float o1 = (float) (1 - 0.9);
    float gradient = -momentum * 0.9f / o1;
    float expected = Math.fma(gradient, o1, momentum * 0.9f);
    float moved = step(0, momentum, gradient, 1, 0.9, 0.99, 0);
    assertEquals(expected == 0 ? 0 : -Math.signum(expected), moved);
  }

  @Test
  void aKilledStepIsFinishedWithWhatItBeganWithWhateverTheBoundsAreNow() {
    double[] refused = {0.5, 0.9, 0.99, 4};
    assertThrows(IllegalArgumentException.class, () -> UpdateRules.LION.requireBounds(refused));
    assertEquals(1f * (float) (1 - 0.5 * 4), step(1, 0, 0, refused));
    double[] ofAdamW = {1e-3, 0.9, 0.999, 0, 5000};
    assertThrows(
        IllegalArgumentException.class, () -> UpdateRules.required("adamw").requireBounds(ofAdamW));
    UpdateRule adamw = UpdateRules.required("adamw");
    int eps = adamw.coefficientNames().indexOf("eps");
    assertEquals(0, adamw.coefficients(ofAdamW, 1, 1).values()[eps]);
  }

  @Test
  void aGroupScalesTheLearningRateAndKeepsItsOwnDecay() {
    ParameterGroup group = new ParameterGroup("norm", 0.5, OptionalDouble.of(0));
    assertArrayEquals(
        new double[] {0.05, 0.9, 0.99, 0},
        UpdateRules.LION.settings().with("weight_decay", 1).hyperparameters(0.1, group));
  }

  @ParameterizedTest
  @ValueSource(doubles = {-1, 1, Double.NaN, Double.POSITIVE_INFINITY})
  void shouldRefuseBetaOutsideItsBounds(double beta) {
    assertThrows(
        IllegalArgumentException.class, () -> UpdateRules.LION.settings().with("beta1", beta));
    assertThrows(
        IllegalArgumentException.class, () -> UpdateRules.LION.settings().with("beta2", beta));
  }

  @ParameterizedTest
  @ValueSource(doubles = {-1e-9, 1e39, Double.NaN, Double.POSITIVE_INFINITY})
  void shouldRefuseLearningRateOutsideItsBounds(double lr) {
    assertThrows(
        IllegalArgumentException.class,
        () -> UpdateRules.LION.settings().hyperparameters(lr, PLAIN));
  }

  @Test
  void shouldRefuseDecayThatWouldTurnWeightsAround() {
    RuleSettings config = UpdateRules.LION.settings().with("weight_decay", 10);
    assertThrows(IllegalArgumentException.class, () -> config.hyperparameters(0.1, PLAIN));
    assertEquals(10, config.hyperparameters(0.0999, PLAIN)[3]);
  }
}
