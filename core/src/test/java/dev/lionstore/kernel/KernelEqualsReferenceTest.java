package dev.lionstore.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.ElementType;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.rule.AnySettings;
import dev.lionstore.rule.Coefficients;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.StochasticBits;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The vector kernel against the scalar reference, in every bit. */
class KernelEqualsReferenceTest {
  private static final int[] SIZES = {
    1, 2, 3, 7, 8, 13, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 129, 207, 255, 256, 257, 511, 4098,
    65_537, 1 << 18
  };

  /** What is stepped in which way. */
  record Case(
      UpdateRule rule, RuleSettings settings, ElementType type, Rounding rounding, double scale) {
    @Override
    public String toString() {
      return settings + " " + type + " " + rounding + " " + scale;
    }

    /** The sizes that end a vector, a granule, a unit, a slice and a block; all for one rule. */
    List<Integer> sizes() {
      int most = rule.equals(UpdateRules.LION) ? Integer.MAX_VALUE : 1 << 13;
      return IntStream.of(SIZES).filter(size -> size <= most).boxed().toList();
    }
  }

  static Stream<Arguments> cases() {
    return Stream.of(ElementType.values())
        .flatMap(type ->
            Stream.of(Rounding.values())
                .flatMap(rounding ->
                    Stream.of(1.0, 0.37, 1e-20).map(scale -> Arguments.of(type, rounding, scale))));
  }

  /** Which rules are stepped in every way; the others' loops are made by the same code. */
  private static boolean isWhole(UpdateRule rule) {
    return List.of("lion", "adamw", "adamw-bf16").contains(rule.name());
  }

  static Stream<Case> steps() {
    return UpdateRules.all().stream()
        .flatMap(rule ->
            AnySettings.of(rule).stream()
                .flatMap(settings ->
                    cases()
                        .map(Arguments::get)
                        .filter(c -> isWhole(rule) || (double) c[2] == 0.37)
                        .map(c ->
                            new Case(
                                rule,
                                settings,
                                (ElementType) c[0],
                                (Rounding) c[1],
                                (double) c[2]))));
  }

  @Test
  void theVectorKernelOffersEveryRule() {
    for (UpdateRule rule : UpdateRules.all()) {
      assertEquals("vector", Kernels.ofCpu(rule).backend(), rule.name());
    }
  }

  @ParameterizedTest
  @MethodSource("steps")
  void stepsToTheSameBits(Case given) {
    for (int count : given.sizes()) {
      long seed = count * 31L + given.type().bytes();
      assertSameBits(given, given.settings(), count, 0.01, seed);
    }
  }

  @ParameterizedTest
  @MethodSource("steps")
  void stepsToTheSameBitsWhereEverythingSaturates(Case given) {
    RuleSettings settings = AnySettings.with(given.settings(), RuleSettings.WEIGHT_DECAY, 0);
    assertSameBits(given, settings, 10_003, 1e37, 77);
  }

  @ParameterizedTest
  @MethodSource("steps")
  void stepsToTheSameBitsFarFromTheDefaults(Case given) {
    RuleSettings settings = AnySettings.with(given.settings(), "beta1", 0.3);
    assertSameBits(given, AnySettings.with(settings, "beta2", 0.5), 10_007, 0.5, 78);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void sumsTheSameSquares(ElementType type, Rounding rounding, double scale) {
    SquareSum vector = vector(UpdateRules.LION).newSquareSum();
    SquareSum scalar = new ScalarKernel(UpdateRules.LION).newSquareSum();
    try (Arena arena = Arena.ofConfined()) {
      for (int count : SIZES) {
        int block = Math.min(count, SquareSum.BLOCK);
        AnyTensor fixture = new AnyTensor(arena, UpdateRules.LION, type, count, 5);
        assertEquals(
            Double.doubleToRawLongBits(scalar.of(fixture.gradient(), 0, block)),
            Double.doubleToRawLongBits(vector.of(fixture.gradient(), 0, block)),
            () -> count + " values");
      }
    }
  }

  static void assertSameBits(
      Case given, RuleSettings settings, int count, double learningRate, long seed) {
    double[] hyperparameters = settings.hyperparameters(learningRate, ParameterGroup.ofDefaults());
    UpdateRule rule = given.rule();
    try (Arena arena = Arena.ofConfined()) {
      AnyTensor expected = new AnyTensor(arena, rule, given.type(), count, seed);
      AnyTensor actual = new AnyTensor(arena, rule, given.type(), count, seed);
      for (int step = 0; step < 3; step++) {
        Coefficients base = rule.coefficients(hyperparameters, given.scale(), 1L + step);
        long key = StochasticBits.key(seed, step, StochasticBits.nameKey("tensor"));
        Coefficients k = looked(expected.step(base, given.rounding(), key), vector(rule));
        expected.step(new ScalarKernel(rule), k, given.rounding(), key);
        actual.step(vector(rule), k, given.rounding(), key);
      }
      for (int p = 0; p < expected.planes().size(); p++) {
        long at = expected.planes().get(p).mismatch(actual.planes().get(p));
        int plane = p;
        assertEquals(-1, at, () -> "plane " + plane + ", " + count + " elements, seed " + seed);
      }
    }
  }

  /** With what both see, unless a store would refuse a step with that. */
  private static Coefficients looked(TensorStep step, Kernel vector) {
    float[] expected = LookTotals.coefficients(new ScalarKernel(step.rule()), step).values();
    Coefficients found = LookTotals.coefficients(vector, step);
    boolean isFinite = true;
    for (int i = 0; i < expected.length; i++) {
      String name = step.rule().coefficientNames().get(i);
      assertEquals(
          Float.floatToIntBits(expected[i]), Float.floatToIntBits(found.values()[i]), name);
      isFinite &= Float.isFinite(expected[i]);
    }
    return isFinite ? found : step.coefficients();
  }

  private static Kernel vector(UpdateRule rule) {
    Kernels.Selection selection = Kernels.select("vector", rule);
    assertTrue(selection.reason().contains("SIMD"), selection.reason());
    return selection.kernel();
  }
}
