package dev.lionstore.opencl;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.ScalarKernel;
import dev.lionstore.opencl.DeviceSteps.Way;
import dev.lionstore.opencl.driver.Context;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** PoCL against the scalar reference, in every bit. */
class DeviceEqualsReferenceTest {
  private static final KernelSource LION = KernelSource.of(UpdateRules.LION);
  private static final int[] SIZES = {
    1, 13, 16, 17, 31, 32, 33, 63, 64, 65, 207, 1536, 1537, 4098, 4099, 65_535, 65_536, 65_537,
    153_600
  };

  @TempDir Path folder;

  /** Sizes that end a vector, a granule, a unit and a chunk; all of them for one rule. */
  private static final int MOST_ELEMENTS = 4_099;

  /** States of both types, one that stays, and names that OpenCL C has for other things. */
  private static final UpdateRule NAMES =
      UpdateRule.of(
          """
          rule float16

          hyperparameters
            learning_rate  half   = 1e-3  >= 0
            sharpness      β1     = 0.9   in [0, 1)
            smoothness     beta1  = 0.25  in (0, 1)
            cap            ϵ      = 4     in {4, 0.5}
            weight_decay   λ      = 0     >= 0

          state
            momentum       kernel   bf16  one
            square         global   f32   two
            size           weights  bf16  three
            kept           k        f32   four

          coefficients
            lambda = 1 - β1
            uint = 0.1 * half
            gradient = n == 1 ? 1 : 0

          step
            at      = λ != 0 ? saturate(fma(λ, θ, g)) : g
            int     = clip(at - kernel, ϵ) + -k * 1e-30
            kernel' = gradient != 0 ? at : fma(int, lambda, kernel)
            kernel_next = bf16(abs(kernel') * beta1)
            global' = fma(int * β1, int, global * 0.3)
            weights' = max(min(weights, abs(int)), abs(at) * beta1)
            r       = kernel' >= kernel ? k == 0 ? 0.1 : sign(-int) : at <= 0 ? lambda : β1
            θ'      = θ - half * (r * kernel_next / (√global' + 1e-8)) - uint * sign(weights' - global)
          """);

  /** Blocks beside other states, one that stays, and one that cannot be negative and is. */
  private static final UpdateRule MIXED =
      UpdateRule.of(
          """
          rule mixed

          hyperparameters
            learning_rate  lr    = 1e-3  >= 0
            beta1          β1    = 0.9   in [0, 1)
            weight_decay   λ     = 0     >= 0

          state
            kept-momentum  k     i8    one
            size           s     u8    two
            momentum       m     bf16  three
            square         v     f32   four

          coefficients
            o1 = 1 - β1
            most = 1e30

          step
            m'  = saturate(fma(g, o1, m * β1))
            s'  = saturate(s * β1 - m')
            v'  = saturate(fma(g * o1, g, v * β1))
            θ'  = θ - lr * (clip(m' + k + s, most) / (√v' + 1)) - θ * (lr * λ)
          """);

  private static final UpdateRule LION_8BIT = UpdateRules.required("lion-8bit");
  private static final UpdateRule ADAMW_8BIT = UpdateRules.required("adamw-8bit");

  private static List<UpdateRule> rules() {
    return Stream.concat(
            UpdateRules.all().stream().filter(rule -> !rule.hasBlocks()),
            Stream.of(NAMES, MIXED, LION_8BIT, ADAMW_8BIT))
        .toList();
  }

  static Stream<Arguments> cases() {
    return rules().stream()
        .flatMap(rule ->
            Stream.of(Way.values())
                .flatMap(way ->
                    KernelSource.Variant.all().stream()
                        .filter(variant -> isTelling(rule, way, variant))
                        .map(variant ->
                            Arguments.of(rule, way, variant.gradients(), variant.rounding()))));
  }

  /** Gradients are widened, and memory is reached, by code that all rules share. */
  private static boolean isTelling(UpdateRule rule, Way way, KernelSource.Variant variant) {
    if (rule.equals(UpdateRules.LION)) {
      return true;
    }
    if (rule.hasBlocks()) {
      return variant.gradients() == ElementType.BF16
          || (rule.equals(LION_8BIT) && way == Way.STREAMING);
    }
    boolean rounds = rule.statePlanes().stream().anyMatch(Plane::isRounded);
    boolean isWhole = rule.equals(NAMES) || rule.equals(UpdateRules.required("adamw"));
    Way only = rounds ? Way.STREAMING : Way.SAVING;
    return variant.gradients() == (rounds ? ElementType.BF16 : ElementType.F32)
        && variant.rounding() == (rounds ? Rounding.STOCHASTIC : Rounding.NEAREST)
        && (isWhole || way == only);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void stepsToTheSameBits(UpdateRule rule, Way way, ElementType type, Rounding rounding) {
    KernelSource source = KernelSource.of(rule);
    int most = rule.equals(UpdateRules.LION) ? Integer.MAX_VALUE : MOST_ELEMENTS;
    try (Context context = new Context(Drivers.device(Drivers.POCL))) {
      for (RuleSettings settings : HostileTensor.settings(rule)) {
        for (int count : IntStream.of(SIZES).filter(size -> size <= most).toArray()) {
          HostileTensor.Values values =
              count % 2 == 0 ? HostileTensor.Values.EXTREME : HostileTensor.Values.HOSTILE;
          HostileTensor.Shape shape =
              new HostileTensor.Shape(settings, type, count, count * 31L, values);
          try (Arena arena = Arena.ofShared()) {
            HostileTensor expected = HostileTensor.of(arena, shape);
            HostileTensor found = HostileTensor.of(arena, shape);
            DeviceSteps.ofReference(way, expected, rounding);
            DeviceSteps.of(context, source, way, found, rounding);
            assertEquals(Optional.empty(), expected.difference(found));
          }
        }
      }
    }
  }

  /** No block lies in two windows, wherever the tensor begins. */
  @ParameterizedTest
  @EnumSource(Rounding.class)
  void stepsBlocksInWindowsOfAFewPages(Rounding rounding) {
    HostileTensor.Shape shape =
        new HostileTensor.Shape(
            HostileTensor.settings(ADAMW_8BIT).getFirst(),
            ElementType.BF16,
            200_001,
            7,
            HostileTensor.Values.HOSTILE);
    KernelSource source = KernelSource.of(ADAMW_8BIT);
    try (Context context = new Context(Drivers.device(Drivers.POCL));
        Arena arena = Arena.ofShared()) {
      HostileTensor expected = HostileTensor.of(arena, shape);
      HostileTensor found = HostileTensor.of(arena, shape);
      DeviceSteps.ofReference(Way.IN_PLACE, expected, rounding);
      try (InPlaceMemory memory =
              new InPlaceMemory(context, ADAMW_8BIT, found.memory(), 3 * HostileTensor.PAGE);
          Kernel.Stepper stepper =
              new InPlaceStepper(
                  context, source, memory, new ScalarKernel(ADAMW_8BIT).newStepper())) {
        DeviceSteps.apply(stepper::apply, found, rounding);
      }
      assertEquals(Optional.empty(), expected.difference(found));
    }
  }

  /** Elements around 2³¹, where windows of 2 GiB meet, and at the end, beyond counters of 2³². */
  @ParameterizedTest
  @EnumSource(Way.class)
  void stepsATensorOfMoreThanTwoToThe33ElementsAtBothEnds(Way way) {
    HostileTensor.Shape shape =
        new HostileTensor.Shape(
            ElementType.BF16, (1L << 33) + 65_553, 3, HostileTensor.Values.HOSTILE);
    List<HostileTensor.Range> ranges =
        List.of(
            new HostileTensor.Range(0, 65_536),
            new HostileTensor.Range((1L << 31) - 65_536, 131_072),
            new HostileTensor.Range((1L << 33) - 65_536, 131_089));
    for (Rounding rounding : Rounding.values()) {
      try (Arena arena = Arena.ofShared();
          Context context = new Context(Drivers.device(Drivers.POCL))) {
        HostileTensor expected = HostileTensor.sparse(arena, folder, shape, ranges);
        HostileTensor found = HostileTensor.sparse(arena, folder, shape, ranges);
        DeviceSteps.ofReference(way, expected, rounding);
        DeviceSteps.of(context, LION, way, found, rounding);
        assertEquals(Optional.empty(), expected.difference(found));
      }
    }
  }
}
