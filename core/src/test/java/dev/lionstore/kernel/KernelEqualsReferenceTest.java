package dev.lionstore.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.ElementType;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.rule.Lion;
import dev.lionstore.rule.LionConfig;
import dev.lionstore.rule.Master;
import dev.lionstore.rule.StochasticBits;
import dev.lionstore.rule.UpdateRule;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The vector kernel against the scalar reference, in every bit. */
class KernelEqualsReferenceTest {
  private static final int[] SIZES = {
    1, 2, 3, 7, 8, 13, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 129, 207, 255, 256, 257, 511, 4098,
    65_537, 1 << 20
  };

  static Stream<Arguments> cases() {
    return Stream.of(ElementType.values())
        .flatMap(type ->
            Stream.of(Rounding.values())
                .flatMap(rounding ->
                    Stream.of(1.0, 0.37, 1e-20).map(scale -> Arguments.of(type, rounding, scale))));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void stepsToTheSameBits(ElementType type, Rounding rounding, double scale) {
    for (int count : SIZES) {
      long seed = count * 31L + type.bytes();
      assertSameBits(type, rounding, scale, count, 0.01, 1.0, seed);
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void stepsToTheSameBitsWhereEverythingSaturates(
      ElementType type, Rounding rounding, double scale) {
    assertSameBits(type, rounding, scale, 100_003, 1e38, 0, 77);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void sumsTheSameSquares(ElementType type, Rounding rounding, double scale) {
    Kernel.Stepper vector = vector().newStepper();
    Kernel.Stepper scalar = new ScalarKernel(Lion.RULE).newStepper();
    try (Arena arena = Arena.ofConfined()) {
      for (int count : SIZES) {
        int block = Math.min(count, Kernel.NORM_BLOCK);
        Fixture fixture = new Fixture(arena, type, count, 5);
        assertEquals(
            Double.doubleToRawLongBits(scalar.sumOfSquares(fixture.gradient, 0, block)),
            Double.doubleToRawLongBits(vector.sumOfSquares(fixture.gradient, 0, block)),
            () -> count + " values");
      }
    }
  }

  private static void assertSameBits(
      ElementType type,
      Rounding rounding,
      double scale,
      int count,
      double learningRate,
      double weightDecay,
      long seed) {
    UpdateRule.Coefficients coefficients =
        Lion.RULE.coefficients(
            new LionConfig(0.9, 0.99, weightDecay)
                .hyperparameters(learningRate, ParameterGroup.ofDefaults()),
            scale);
    try (Arena arena = Arena.ofConfined()) {
      Fixture expected = new Fixture(arena, type, count, seed);
      Fixture actual = new Fixture(arena, type, count, seed);
      for (int step = 0; step < 3; step++) {
        long key = StochasticBits.key(seed, step, StochasticBits.nameKey("tensor"));
        expected.step(new ScalarKernel(Lion.RULE), coefficients, rounding, key);
        actual.step(vector(), coefficients, rounding, key);
      }
      for (int p = 0; p < 3; p++) {
        long at = expected.planes.get(p).mismatch(actual.planes.get(p));
        int plane = p;
        assertEquals(-1, at, () -> "plane " + plane + ", " + count + " elements, seed " + seed);
      }
    }
  }

  private static Kernel vector() {
    Kernels.Selection selection = Kernels.select("vector", Lion.RULE);
    assertTrue(selection.reason().contains("SIMD"), selection.reason());
    return selection.kernel();
  }

  /** A tensor with hostile state and gradient; the same for the same seed. */
  private static final class Fixture {
    private final List<MemorySegment> planes;
    private final GradientValues gradient;

    Fixture(Arena arena, ElementType type, int count, long seed) {
      SplittableRandom random = new SplittableRandom(seed);
      long padded = (count + Kernel.ALIGNMENT - 1) / Kernel.ALIGNMENT * (long) Kernel.ALIGNMENT;
      planes =
          List.of(
              arena.allocate(2 * padded), arena.allocate(2 * padded), arena.allocate(2 * padded));
      MemorySegment data = arena.allocate((long) count * type.bytes());
      for (int i = 0; i < count; i++) {
        float master = Hostile.anyFinite(random);
        int bits = Float.floatToRawIntBits(Master.holds(master) ? master : 1f);
        short momentum = Hostile.anyFiniteBf16(random);
        planes.get(0).setAtIndex(ValueLayout.JAVA_SHORT, i, Master.weights(bits));
        planes.get(1).setAtIndex(ValueLayout.JAVA_SHORT, i, Master.remainder(bits));
        planes.get(2).setAtIndex(ValueLayout.JAVA_SHORT, i, momentum);
        int g = Hostile.gradientBits(random, type, Float.intBitsToFloat(momentum << 16));
        if (type == ElementType.F32) {
          data.setAtIndex(ValueLayout.JAVA_INT, i, g);
        } else {
          data.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) g);
        }
      }
      gradient = new GradientValues(type, data);
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
