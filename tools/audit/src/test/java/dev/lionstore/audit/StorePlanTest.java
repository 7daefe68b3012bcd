package dev.lionstore.audit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.TensorSpec;
import dev.lionstore.checkpoint.TensorRules;
import dev.lionstore.rule.UpdateRules;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class StorePlanTest {
  private static final long COUNT = 1_000_000;

  private static StorePlan plan(String rule, GradientPlane gradients) {
    return StorePlan.of(
        AuditedModel.ofCount("1e6", COUNT), TensorRules.of(UpdateRules.required(rule)), gradients);
  }

  @Test
  void planesAreThoseOfTheRule() {
    Map<String, Long> lion = plan("lion", GradientPlane.NONE).size().files();
    assertEquals(
        List.of(
            "layout",
            "lock",
            "header",
            "progress",
            "weights.plane",
            "remainder.plane",
            "momentum.plane"),
        List.copyOf(lion.keySet()));
    StorePlan adamw = plan("adamw-bf16", GradientPlane.F32);
    assertEquals(8 * COUNT, adamw.steppedBytes());
    assertEquals(4 * COUNT, adamw.gradientBytes());
    assertTrue(adamw.size().planes().contains("second-moment.plane"));
    assertEquals(12 * COUNT, plan("adamw", GradientPlane.BF16).stateBytes());
  }

  @Test
  void everyByteOfEveryFileIsInTheFootprint() {
    for (String rule : UpdateRules.names()) {
      StorePlan plan = plan(rule, GradientPlane.BF16);
      Footprint inMemory = plan.footprint(Place.HOST, 0);
      double state = plan.layout().rule().bytesBesideWeights() - 2;
      assertEquals(
          1.0,
          inMemory.optimizerState() / (state * (double) COUNT + 1),
          state == 0 ? 1 : 0.01,
          rule);
      assertEquals(plan.size().total(), inMemory.at(Place.HOST));
      assertEquals(2 * COUNT, inMemory.at(Place.GPU), "the copy that a GPU computes with");
      Footprint onDisk = plan.footprint(Place.DISK, 10);
      long undo = plan.size().direct().undoFileBytes();
      assertEquals(plan.size().total() + undo, onDisk.at(Place.DISK));
      assertEquals(plan.size().direct().bufferBytes(), onDisk.at(Place.HOST));
      assertEquals(2 * COUNT + 20, onDisk.at(Place.GPU), "and the gradient that is on its way");
    }
  }

  @Test
  void frozenTensorsTakeNoMomentumAndNoStep() {
    AuditedModel model =
        new AuditedModel(
            "m",
            "a test",
            List.of(
                new TensorSpec(
                    "f", List.of(640L), ParameterGroup.DEFAULT_NAME, TensorSpec.Role.FROZEN),
                new TensorSpec("t", List.of(64L), "another group", TensorSpec.Role.TRAINABLE)),
            true);
    StorePlan plan = StorePlan.of(model, TensorRules.of(UpdateRules.LION), GradientPlane.BF16);
    assertEquals(4 * 640 + 6 * 64, plan.stateBytes());
    assertEquals(6 * 64, plan.steppedBytes());
    assertEquals(2 * 64, plan.gradientBytes());
  }

  @Test
  void countsBeyondEveryBoundAreRefused() {
    assertThrows(IllegalArgumentException.class, () -> AuditedModel.ofCount("0", 0));
    TensorSpec huge =
        new TensorSpec(
            "h",
            List.of(Long.MAX_VALUE / 2),
            ParameterGroup.DEFAULT_NAME,
            TensorSpec.Role.TRAINABLE);
    TensorSpec other =
        new TensorSpec("i", huge.shape(), ParameterGroup.DEFAULT_NAME, TensorSpec.Role.TRAINABLE);
    TensorSpec third =
        new TensorSpec("j", huge.shape(), ParameterGroup.DEFAULT_NAME, TensorSpec.Role.TRAINABLE);
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class,
            () -> new AuditedModel("m", "a test", List.of(huge, other, third), true));
    assertTrue(
        String.valueOf(refused.getMessage()).contains("expected 1 to 10000000000000"),
        "it wraps to few");
  }
}
