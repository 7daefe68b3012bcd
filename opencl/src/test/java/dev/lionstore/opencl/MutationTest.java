package dev.lionstore.opencl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.opencl.DeviceSteps.Way;
import dev.lionstore.opencl.driver.Context;
import dev.lionstore.rule.UpdateRules;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The kernel is broken on purpose; the comparison of bits notices. */
class MutationTest {
  private static final KernelSource LION = KernelSource.of(UpdateRules.LION);

  /** Its last elements' counters are beyond 32 bits. */
  private static final long COUNT = (1L << 33) + 20_011;

  private static final List<HostileTensor.Range> RANGES =
      List.of(new HostileTensor.Range(0, 20_000), new HostileTensor.Range(1L << 33, 20_011));

  @TempDir Path folder;

  /**
   * A change of the kernel's text.
   *
   * @param name what it breaks
   * @param original what is replaced
   * @param mutation what it is replaced by
   */
  record Mutation(String name, String original, String mutation) {
    KernelSource applied() {
      String text = LION.text().replace(original, mutation);
      assertNotEquals(LION.text(), text, () -> name + ": the text has changed");
      return LION.withText(text);
    }

    @Override
    public String toString() {
      return name;
    }
  }

  static Stream<Mutation> mutations() {
    return Stream.of(
        new Mutation(
            "the update rounds twice",
            "fma(x_g, (float16)(k.x_o1), x_m * k.x_b1)",
            "x_g * k.x_o1 + x_m * k.x_b1"),
        new Mutation(
            "momentum rounds twice",
            "fma(x_g, (float16)(k.x_o2), x_m * k.x_b2)",
            "x_g * k.x_o2 + x_m * k.x_b2"),
        new Mutation("sign(0) is 1", "select((float16)(k * 0.0f), product, x != 0.0f)", "product"),
        new Mutation("ties round up", "0x7FFFu + ((as_uint16(value) >> 16) & 1u)", "0x8000u"),
        new Mutation("the master rounds down", "bits + 0x8000u", "bits + 0x7FFFu"),
        new Mutation(
            "the remainder has no sign",
            "convert_int16(as_short16(old_r))",
            "convert_int16(old_r)"),
        new Mutation(
            "momentum does not saturate",
            "min(rounded & 0x7FFFu, LARGEST_BF16)",
            "(rounded & 0x7FFFu)"),
        new Mutation(
            "the master does not saturate",
            "min(bits & MAGNITUDE, LARGEST_MASTER)",
            "(bits & MAGNITUDE)"),
        new Mutation("gradients are not scaled", "stored * k.x_gradient_scale", "stored"),
        new Mutation("halves of a hash are swapped", "hash_m & 0xFFFFu", "hash_m >> 16"),
        new Mutation(
            "an index has 32 bits",
            "uint16 hashes(ulong key, ulong i)",
            "uint16 hashes(ulong key, uint i)"),
        new Mutation("a counter has 32 bits", "mix64(key + (c >> 32))", "key"));
  }

  @ParameterizedTest
  @MethodSource("mutations")
  void aMutationIsNoticed(Mutation mutation) {
    assertTrue(differs(mutation.applied()));
  }

  @Test
  void theKernelItselfIsNotAccused() {
    assertEquals(false, differs(LION));
  }

  private boolean differs(KernelSource source) {
    return Stream.of(HostileTensor.Values.HOSTILE, HostileTensor.Values.EXTREME)
        .map(values -> new HostileTensor.Shape(ElementType.F32, COUNT, 1, values))
        .anyMatch(shape ->
            Stream.of(Rounding.values()).anyMatch(rounding -> differs(source, shape, rounding)));
  }

  private boolean differs(KernelSource source, HostileTensor.Shape shape, Rounding rounding) {
    try (Arena arena = Arena.ofShared();
        Context context = new Context(Drivers.device(Drivers.POCL))) {
      HostileTensor expected = HostileTensor.sparse(arena, folder, shape, RANGES);
      HostileTensor found = HostileTensor.sparse(arena, folder, shape, RANGES);
      DeviceSteps.ofReference(expected, rounding);
      DeviceSteps.of(context, source, Way.STREAMING, found, rounding);
      return expected.difference(found).isPresent();
    }
  }
}
