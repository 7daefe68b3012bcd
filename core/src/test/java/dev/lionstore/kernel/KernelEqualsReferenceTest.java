package dev.lionstore.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.ElementType;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.rule.AdamW;
import dev.lionstore.rule.Lion;
import dev.lionstore.rule.Master;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.StochasticBits;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.SplittableRandom;
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

  /** Every rule that has a vector kernel, though all have the reference. */
  private static final List<UpdateRule> RULES = List.of(Lion.RULE, AdamW.RULE, AdamW.BF16_RULE);

  /** What is stepped in which way. */
  record Case(UpdateRule rule, ElementType type, Rounding rounding, double scale) {}

  static Stream<Arguments> cases() {
    return Stream.of(ElementType.values())
        .flatMap(type ->
            Stream.of(Rounding.values())
                .flatMap(rounding ->
                    Stream.of(1.0, 0.37, 1e-20).map(scale -> Arguments.of(type, rounding, scale))));
  }

  static Stream<Case> steps() {
    return RULES.stream()
        .flatMap(rule ->
            cases()
                .map(Arguments::get)
                .map(c -> new Case(rule, (ElementType) c[0], (Rounding) c[1], (double) c[2])));
  }

  @Test
  void theVectorKernelOffersTheseRules() {
    for (UpdateRule rule : UpdateRules.all()) {
      String backend = Kernels.ofCpu(rule).backend();
      assertEquals(RULES.contains(rule) ? "vector" : "scalar", backend, rule.name());
    }
  }

  @ParameterizedTest
  @MethodSource("steps")
  void stepsToTheSameBits(Case given) {
    for (int count : SIZES) {
      long seed = count * 31L + given.type().bytes();
      assertSameBits(given, count, 0.01, 1.0, seed);
    }
  }

  @ParameterizedTest
  @MethodSource("steps")
  void stepsToTheSameBitsWhereEverythingSaturates(Case given) {
    assertSameBits(given, 100_003, 1e37, 0, 77);
  }

  @ParameterizedTest
  @MethodSource("steps")
  void stepsToTheSameBitsFarFromPyTorchsDefaults(Case given) {
    RuleSettings settings =
        RuleSettings.defaults(given.rule()).with("beta1", 0.3).with("beta2", 0.5);
    assertSameBits(given, settings, 10_007, 0.5, 78);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void sumsTheSameSquares(ElementType type, Rounding rounding, double scale) {
    Kernel.Stepper vector = vector(Lion.RULE).newStepper();
    Kernel.Stepper scalar = new ScalarKernel(Lion.RULE).newStepper();
    try (Arena arena = Arena.ofConfined()) {
      for (int count : SIZES) {
        int block = Math.min(count, Kernel.NORM_BLOCK);
        Fixture fixture = new Fixture(arena, Lion.RULE, type, count, 5);
        assertEquals(
            Double.doubleToRawLongBits(scalar.sumOfSquares(fixture.gradient, 0, block)),
            Double.doubleToRawLongBits(vector.sumOfSquares(fixture.gradient, 0, block)),
            () -> count + " values");
      }
    }
  }

  private static void assertSameBits(
      Case given, int count, double learningRate, double weightDecay, long seed) {
    RuleSettings settings =
        RuleSettings.defaults(given.rule()).with(RuleSettings.WEIGHT_DECAY, weightDecay);
    assertSameBits(given, settings, count, learningRate, seed);
  }

  private static void assertSameBits(
      Case given, RuleSettings settings, int count, double learningRate, long seed) {
    double[] hyperparameters = settings.hyperparameters(learningRate, ParameterGroup.ofDefaults());
    UpdateRule rule = given.rule();
    try (Arena arena = Arena.ofConfined()) {
      Fixture expected = new Fixture(arena, rule, given.type(), count, seed);
      Fixture actual = new Fixture(arena, rule, given.type(), count, seed);
      for (int step = 0; step < 3; step++) {
        UpdateRule.Coefficients k = rule.coefficients(hyperparameters, given.scale(), 1L + step);
        long key = StochasticBits.key(seed, step, StochasticBits.nameKey("tensor"));
        expected.step(new ScalarKernel(rule), k, given.rounding(), key);
        actual.step(vector(rule), k, given.rounding(), key);
      }
      for (int p = 0; p < expected.planes.size(); p++) {
        long at = expected.planes.get(p).mismatch(actual.planes.get(p));
        int plane = p;
        assertEquals(-1, at, () -> "plane " + plane + ", " + count + " elements, seed " + seed);
      }
    }
  }

  private static Kernel vector(UpdateRule rule) {
    Kernels.Selection selection = Kernels.select("vector", rule);
    assertTrue(selection.reason().contains("SIMD"), selection.reason());
    return selection.kernel();
  }

  /** A tensor with hostile state and gradient; the same for the same seed. */
  private static final class Fixture {
    private final List<MemorySegment> planes;
    private final GradientValues gradient;

    Fixture(Arena arena, UpdateRule rule, ElementType type, int count, long seed) {
      SplittableRandom random = new SplittableRandom(seed);
      long padded = (count + Kernel.ALIGNMENT - 1) / Kernel.ALIGNMENT * (long) Kernel.ALIGNMENT;
      planes =
          Stream.concat(Plane.MASTER.stream(), rule.statePlanes().stream())
              .map(plane -> arena.allocate(plane.type().bytes() * padded))
              .toList();
      MemorySegment data = arena.allocate((long) count * type.bytes());
      for (int i = 0; i < count; i++) {
        float master = Hostile.anyFinite(random);
        int bits = Float.floatToRawIntBits(Master.holds(master) ? master : 1f);
        planes.get(0).setAtIndex(ValueLayout.JAVA_SHORT, i, Master.weights(bits));
        planes.get(1).setAtIndex(ValueLayout.JAVA_SHORT, i, Master.remainder(bits));
        float momentum =
            rule.statePlanes().getFirst().isRounded()
                ? Float.intBitsToFloat(Hostile.anyFiniteBf16(random) << 16)
                : Hostile.anyFinite(random);
        for (int p = 2; p < planes.size(); p++) {
          float value = p == 2 ? momentum : Math.abs(Hostile.anyFinite(random));
          set(planes.get(p), rule.statePlanes().get(p - 2).type(), i, value);
        }
        int g = Hostile.gradientBits(random, type, momentum);
        if (type == ElementType.F32) {
          data.setAtIndex(ValueLayout.JAVA_INT, i, g);
        } else {
          data.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) g);
        }
      }
      gradient = new GradientValues(type, data);
    }

    private static void set(MemorySegment plane, Plane.Type type, int i, float value) {
      int bits = Float.floatToRawIntBits(value);
      if (type == Plane.Type.F32) {
        plane.setAtIndex(ValueLayout.JAVA_INT, i, bits);
      } else {
        plane.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (bits >>> 16));
      }
    }

    void step(
        Kernel kernel, UpdateRule.Coefficients coefficients, Rounding rounding, long noiseKey) {
      TensorStep tensor = new TensorStep(planes, gradient, coefficients, rounding, noiseKey);
      Kernel.Stepper stepper = kernel.newStepper();
      long count = gradient.count();
      for (long from = 0; from < count; from += Kernel.MAX_SLICE) {
        stepper.apply(tensor, from, (int) Math.min(Kernel.MAX_SLICE, count - from));
      }
    }
  }
}
