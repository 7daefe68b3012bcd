package dev.lionstore.opencl;

import dev.lionstore.Rounding;
import dev.lionstore.opencl.DeviceSteps.Way;
import dev.lionstore.opencl.driver.Context;
import dev.lionstore.opencl.driver.Device;
import dev.lionstore.opencl.driver.Devices;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import java.lang.foreign.Arena;
import java.util.Optional;

/** What {@link OclgrindTest} runs under Oclgrind, which interprets kernels: small sizes. */
final class OclgrindMain {
  /** The last line of a run that found every bit equal. */
  static final String EQUAL = "every bit is equal";

  private static final int[] SIZES = {1, 13, 33, 64, 65, 207, 1_600};

  private OclgrindMain() {}

  /** Steps every size and variant; takes how the device works and a rule. */
  public static void main(String[] arguments) {
    Way way = Way.valueOf(arguments[0]);
    Device device = Devices.list().getFirst();
    System.out.println(device);
    UpdateRule rule = UpdateRules.required(arguments[1]);
    try (Context context = new Context(device)) {
      for (KernelSource.Variant variant : KernelSource.Variant.all()) {
        compare(context, rule, way, variant);
      }
    }
    System.out.println(EQUAL);
  }

  private static void compare(
      Context context, UpdateRule rule, Way way, KernelSource.Variant variant) {
    for (RuleSettings settings : HostileTensor.settings(rule)) {
      for (int count : SIZES) {
        HostileTensor.Shape shape =
            new HostileTensor.Shape(
                settings, variant.gradients(), count, count, HostileTensor.Values.HOSTILE);
        compare(context, KernelSource.of(rule), way, shape, variant.rounding());
      }
    }
  }

  private static void compare(
      Context context, KernelSource source, Way way, HostileTensor.Shape shape, Rounding rounding) {
    try (Arena arena = Arena.ofShared()) {
      HostileTensor expected = HostileTensor.of(arena, shape);
      HostileTensor found = HostileTensor.of(arena, shape);
      DeviceSteps.ofReference(way, expected, rounding);
      DeviceSteps.of(context, source, way, found, rounding);
      Optional<String> difference = expected.difference(found);
      if (difference.isPresent()) {
        throw new IllegalStateException(difference.get());
      }
    }
  }
}
