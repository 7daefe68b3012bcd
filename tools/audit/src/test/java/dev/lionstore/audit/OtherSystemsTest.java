package dev.lionstore.audit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.TensorSpec;
import dev.lionstore.checkpoint.TensorRules;
import dev.lionstore.rule.UpdateRules;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class OtherSystemsTest {
  private static final long SEVEN = 7_000_000_000L;

  private static Footprint named(String name, AuditedModel model) {
    return Audit.of(
            model,
            List.of(
                TensorRules.of(UpdateRules.LION), TensorRules.of(UpdateRules.required("adamw"))),
            GradientPlane.BF16,
            Place.HOST)
        .footprints()
        .stream()
        .filter(footprint -> footprint.name().equals(name))
        .findFirst()
        .orElseThrow();
  }

  private static TensorSpec tensor(String name, TensorSpec.Role role, Long... shape) {
    return new TensorSpec(name, List.of(shape), ParameterGroup.DEFAULT_NAME, role);
  }

  private static AuditedModel model(TensorSpec... tensors) {
    return new AuditedModel("m", "a test", List.of(tensors), true);
  }

  /** Bytes per parameter as the sources in AUDIT.md count them. */
  @ParameterizedTest
  @CsvSource({
    "mixed-precision AdamW, 98, 56, 0, 112",
    "fp32 AdamW, 84, 56, 0, 112",
    "fp32 Lion, 56, 28, 0, 84",
    "8-bit AdamW, 28.21875, 14.21875, 0, 42.21875",
    "8-bit Lion, 21.109375, 7.109375, 0, 35.109375",
    "FlashLion, 28.4375, 7.4375, 0, 42.4375",
    "ZeRO-Offload CPULion, 98, 56, 126, 15"
  })
  void ofSevenBillionParameters(String name, double atRest, double state, double host, double gpu) {
    Footprint footprint = named(name, AuditedModel.ofCount("7e9", SEVEN));
    assertEquals(Math.round(atRest * 1e9), footprint.atRest());
    assertEquals(Math.round(state * 1e9), footprint.optimizerState());
    assertEquals(Math.round(host * 1e9), footprint.at(Place.HOST));
    long maps = name.startsWith("8-bit") ? footprint.of(Part.STAGING) : 0;
    assertEquals(Math.round(gpu * 1e9), footprint.at(Place.GPU) - maps);
    assertTrue(maps <= 2048, "quantization maps");
    assertEquals(0, footprint.at(Place.DISK));
  }

  @Test
  void lionstoreIsSixAndTwelveBytesAndLessThanAThousandthMore() {
    AuditedModel seven = AuditedModel.ofCount("7e9", SEVEN);
    assertNear(42_000_000_000L, named("Lionstore Lion", seven).atRest());
    assertNear(84_000_000_000L, named("Lionstore AdamW", seven).atRest());
    assertNear(14_000_000_000L, named("Lionstore Lion", seven).of(Part.GRADIENTS));
  }

  private static void assertNear(long expected, long found) {
    assertTrue(found >= expected && found - expected < expected / 1000, found + " bytes");
  }

  @Test
  void smallTensorsStayIn32BitsAndBlocksAreCountedWhole() {
    TensorSpec.Role trained = TensorSpec.Role.TRAINABLE;
    AuditedModel model =
        model(
            tensor("a", trained, 4095L),
            tensor("b", trained, 64L, 64L),
            tensor("c", trained, 17L, 241L));
    long expected = 4 * 4095 + (4096 + 4 * 16) + (4097 + 4 * 17);
    assertEquals(expected, named("8-bit Lion", model).of(Part.MOMENTUM));
    assertEquals(2 * expected, named("8-bit AdamW", model).optimizerState());
  }

  @Test
  void everyGroupOfFlashLionHasAScale() {
    AuditedModel model = model(tensor("a", TensorSpec.Role.TRAINABLE, 33L));
    assertEquals(33 + 2 * 2, named("FlashLion", model).of(Part.MOMENTUM));
    assertEquals(33, named("FlashLion", model).of(Part.MASTER));
  }

  @Test
  void adafactorKeepsRowsAndColumnsOfMatricesAndWholeVectors() {
    TensorSpec.Role trained = TensorSpec.Role.TRAINABLE;
    AuditedModel model =
        model(
            tensor("matrix", trained, 30L, 50L),
            tensor("vector", trained, 70L),
            tensor("convolution", trained, 2L, 3L, 5L, 7L),
            tensor("scalar", trained));
    long expected = 4 * (30 + 50) + 4 * 70 + 4 * 2 * 3 * (5 + 7) + 4;
    assertEquals(expected, named("Adafactor", model).of(Part.SECOND_MOMENT));
    assertEquals(12 * 1500, named("Adafactor", model).of(Part.STAGING));
  }

  @Test
  void adafactorIsLeftOutWhereNobodyKnowsTheShapes() {
    List<Footprint> all = new OtherSystems(AuditedModel.ofCount("7e9", SEVEN)).footprints();
    assertFalse(all.stream().anyMatch(footprint -> footprint.name().equals("Adafactor")));
  }

  @Test
  void offloadStagesTheLargestGradientABucketAndBf16Weights() {
    AuditedModel model =
        model(
            tensor("large", TensorSpec.Role.TRAINABLE, 900L),
            tensor("small", TensorSpec.Role.TRAINABLE, 100L));
    Footprint offload = named("ZeRO-Offload CPUAdam", model);
    assertEquals(16 * 1000 + 2 * 1000 + 2 * 900, offload.at(Place.HOST));
    assertEquals(2 * 1000 + 2 * 900 + 2 * 1000, offload.at(Place.GPU));
  }

  @Test
  void frozenTensorsHaveWeightsAlone() {
    AuditedModel model =
        model(
            tensor("frozen", TensorSpec.Role.FROZEN, 10_000L),
            tensor("trained", TensorSpec.Role.TRAINABLE, 5_000L));
    Footprint mixed = named("mixed-precision AdamW", model);
    assertEquals(2 * 15_000, mixed.of(Part.WEIGHTS));
    assertEquals(12 * 5_000, mixed.atRest() - mixed.of(Part.WEIGHTS));
    assertEquals(2 * 5_000, mixed.of(Part.GRADIENTS));
    long blocks = (5_000 + 255) / 256;
    assertEquals(5_000 + 4 * blocks, named("8-bit Lion", model).of(Part.MOMENTUM));
  }
}
