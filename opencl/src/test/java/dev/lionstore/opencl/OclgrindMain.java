package dev.lionstore.opencl;

import dev.lionstore.kernel.DeviceOptions.Memory;
import dev.lionstore.rule.Lion;
import java.lang.foreign.Arena;
import java.util.Optional;

/** What {@link OclgrindTest} runs under Oclgrind, which interprets kernels: small sizes. */
final class OclgrindMain {
  /** The last line of a run that found every bit equal. */
  static final String EQUAL = "every bit is equal";

  private static final int[] SIZES = {1, 13, 33, 64, 65, 207, 1_100, 4_098};

  private OclgrindMain() {}

  /** Steps every size and variant in place, saving, and streaming. */
  public static void main(String[] arguments) {
    Device device = Devices.list().getFirst();
    System.out.println(device);
    Source source = Source.of(Lion.RULE).orElseThrow();
    try (Context context = new Context(device)) {
      for (Source.Variant variant : Source.Variant.all()) {
        for (int count : SIZES) {
          compare(context, source, variant, count);
        }
      }
    }
    System.out.println(EQUAL);
  }

  private static void compare(Context context, Source source, Source.Variant variant, int count) {
    HostileTensor.Shape shape =
        new HostileTensor.Shape(variant.gradients(), count, count, HostileTensor.Values.HOSTILE);
    for (Memory memory : new Memory[] {Memory.IN_PLACE, Memory.STREAMING}) {
      try (Arena arena = Arena.ofShared()) {
        HostileTensor expected = HostileTensor.of(arena, shape);
        HostileTensor found = HostileTensor.of(arena, shape);
        DeviceSteps.ofReference(expected, variant.rounding());
        DeviceSteps.of(context, source, memory, found, variant.rounding());
        Optional<String> difference = expected.difference(found);
        if (difference.isPresent()) {
          throw new IllegalStateException(memory + ": " + difference.get());
        }
      }
    }
  }
}
