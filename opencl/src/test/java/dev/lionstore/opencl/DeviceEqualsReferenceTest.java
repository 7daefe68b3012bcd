package dev.lionstore.opencl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.DeviceOptions;
import dev.lionstore.kernel.DeviceOptions.Memory;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.ScalarKernel;
import dev.lionstore.rule.Lion;
import java.lang.foreign.Arena;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** PoCL against the scalar reference, in every bit. */
class DeviceEqualsReferenceTest {
  private static final int[] SIZES = {
    1, 13, 16, 17, 31, 32, 33, 63, 64, 65, 207, 4098, 65_535, 65_536, 65_537, 1_000_003
  };

  private static final int STEPS = 3;

  static Stream<Arguments> cases() {
    return Stream.of(Memory.IN_PLACE, Memory.STREAMING)
        .flatMap(memory ->
            Source.Variant.all().stream()
                .map(variant -> Arguments.of(memory, variant.gradients(), variant.rounding())));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void stepsToTheSameBits(Memory memory, ElementType type, Rounding rounding) {
    try (Context context = new Context(Drivers.device(Drivers.POCL))) {
      for (int count : SIZES) {
        HostileTensor.Shape shape =
            new HostileTensor.Shape(type, count, count * 31L, HostileTensor.Values.HOSTILE);
        try (Arena arena = Arena.ofShared()) {
          HostileTensor expected = new HostileTensor(arena, shape);
          HostileTensor found = new HostileTensor(arena, shape);
          step(expected, rounding);
          step(context, memory, found, rounding);
          assertEquals(-1, expected.mismatch(found), shape::toString);
        }
      }
    }
  }

  private static void step(HostileTensor tensor, Rounding rounding) {
    for (int step = 0; step < STEPS; step++) {
      new ScalarKernel(Lion.RULE).apply(tensor.step(rounding, step), 0, tensor.count());
    }
  }

  @SuppressWarnings("try") // the context is closed by the test
  private static void step(
      Context context, Memory memory, HostileTensor tensor, Rounding rounding) {
    DeviceOptions options = DeviceOptions.defaults().withMemory(memory);
    try (OpenClKernel kernel =
        OpenClKernel.sharing(context, Source.of(Lion.RULE).orElseThrow(), options)) {
      String reached = kernel.attach(tensor.memory());
      assertTrue(reached.startsWith(memory == Memory.IN_PLACE ? "in place" : "str"), reached);
      try (Kernel.Stepper stepper = kernel.newStepper()) {
        for (int step = 0; step < STEPS; step++) {
          stepper.apply(tensor.step(rounding, step), 0, tensor.count());
        }
      }
    }
  }
}
