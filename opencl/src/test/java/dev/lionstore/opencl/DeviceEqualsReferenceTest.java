package dev.lionstore.opencl;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.opencl.DeviceSteps.Way;
import dev.lionstore.rule.AdamW;
import dev.lionstore.rule.Lion;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** PoCL against the scalar reference, in every bit. */
class DeviceEqualsReferenceTest {
  private static final Source LION = Source.of(Lion.RULE).orElseThrow();
  private static final int[] SIZES = {
    1, 13, 16, 17, 31, 32, 33, 63, 64, 65, 207, 1536, 1537, 4098, 4099, 65_535, 65_536, 65_537,
    153_600
  };

  @TempDir Path folder;

  private static final List<UpdateRule> RULES = List.of(Lion.RULE, AdamW.RULE, AdamW.BF16_RULE);

  static Stream<Arguments> cases() {
    return RULES.stream()
        .flatMap(rule ->
            Stream.of(Way.values())
                .flatMap(way ->
                    Source.Variant.all().stream()
                        .filter(variant -> rule.equals(Lion.RULE) || isTelling(variant))
                        .map(variant ->
                            Arguments.of(
                                rule.name(), way, variant.gradients(), variant.rounding()))));
  }

  /** Gradients are widened, and stepped, by code that all rules share. */
  private static boolean isTelling(Source.Variant variant) {
    return variant.gradients() == ElementType.BF16
        || (variant.gradients() == ElementType.F32 && variant.rounding() == Rounding.NEAREST);
  }

  @Test
  void theseRulesHaveAForm() {
    assertEquals(
        RULES, UpdateRules.all().stream().filter(rule -> Source.of(rule).isPresent()).toList());
  }

  @ParameterizedTest
  @MethodSource("cases")
  void stepsToTheSameBits(String name, Way way, ElementType type, Rounding rounding) {
    UpdateRule rule = UpdateRules.named(name).orElseThrow();
    Source source = Source.required(rule);
    try (Context context = new Context(Drivers.device(Drivers.POCL))) {
      for (int count : SIZES) {
        HostileTensor.Values values =
            count % 2 == 0 ? HostileTensor.Values.EXTREME : HostileTensor.Values.HOSTILE;
        HostileTensor.Shape shape = new HostileTensor.Shape(rule, type, count, count * 31L, values);
        try (Arena arena = Arena.ofShared()) {
          HostileTensor expected = HostileTensor.of(arena, shape);
          HostileTensor found = HostileTensor.of(arena, shape);
          DeviceSteps.ofReference(expected, rounding);
          DeviceSteps.of(context, source, way, found, rounding);
          assertEquals(Optional.empty(), expected.difference(found));
        }
      }
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
        DeviceSteps.ofReference(expected, rounding);
        DeviceSteps.of(context, LION, way, found, rounding);
        assertEquals(Optional.empty(), expected.difference(found));
      }
    }
  }
}
