package dev.lionstore.state;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import java.util.List;
import java.util.OptionalDouble;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class StoreLayoutTest {
  private static final UpdateRule ADAMW = UpdateRules.required("adamw");
  private static final UpdateRule LION_F32 = UpdateRules.required("lion-f32");
  private static final UpdateRule SGD = UpdateRules.required("sgd");

  private static StoreLayout layout(UpdateRule rule) {
    return new StoreLayout(
        rule,
        Rounding.NEAREST,
        0,
        GradientPlane.F32,
        Stream.of("default", "norms", "unused")
            .map(name -> new ParameterGroup(name, 1, OptionalDouble.empty()))
            .toList(),
        List.of(
            tensor("a", "default", TensorSpec.Role.TRAINABLE),
            tensor("b", "norms", TensorSpec.Role.TRAINABLE),
            tensor("c", "norms", TensorSpec.Role.FROZEN)));
  }

  private static TensorSpec tensor(String name, String group, TensorSpec.Role role) {
    return new TensorSpec(name, List.of(3L), group, role);
  }

  private static List<String> names(List<Plane> planes) {
    return planes.stream().map(Plane::name).toList();
  }

  @Test
  void aGroupsRuleStandsBeforeTheStores() {
    StoreLayout layout = layout(LION_F32).withRule("norms", ADAMW);
    assertEquals(ADAMW, layout.ruleOf("norms"));
    assertEquals(LION_F32, layout.ruleOf("unused"));
    assertEquals(List.of(LION_F32, ADAMW), layout.rules());
    assertEquals(
        List.of("weights", "remainder", "momentum", "second-moment"), names(layout.planes()));
    assertEquals(3, layout.planesOf(layout.tensors().get(0)).size());
    assertEquals(4, layout.planesOf(layout.tensors().get(1)).size());
    assertEquals(Plane.MASTER, layout.planesOf(layout.tensors().get(2)));
    assertTrue(layout.countsSteps());
    assertFalse(layout(LION_F32).countsSteps());
    assertNotEquals(layout(LION_F32), layout);
    assertEquals(layout, layout(LION_F32).withRule("norms", ADAMW));
  }

  @Test
  void rulesOfNoTrainedTensorHaveNoPlanes() {
    StoreLayout layout = layout(SGD).withRule("unused", ADAMW);
    assertEquals(Plane.MASTER, layout.planes());
    assertEquals(List.of(SGD), layout.steppedRules());
    assertEquals(List.of(SGD, ADAMW), layout.rules());
    StoreLayout frozen = layout(SGD).withRule("norms", ADAMW).matching("c"::equals);
    assertEquals(Plane.MASTER, frozen.planes());
  }

  @Test
  void aStateThatTwoRulesCallTheSameIsOnePlaneWhateverPyTorchCallsIt() {
    UpdateRule other = UpdateRules.required("rmsprop-momentum");
    StoreLayout layout = layout(ADAMW).withRule("norms", other);
    assertEquals(
        List.of("weights", "remainder", "momentum", "second-moment"), names(layout.planes()));
    assertEquals("momentum_buffer", layout.planesOf(layout.tensors().get(1)).get(3).suffix());
  }

  @Test
  void aStateOfTwoTypesIsTwoPlanes() {
    StoreLayout layout = layout(UpdateRules.LION).withRule("norms", ADAMW);
    assertEquals(
        List.of("weights", "remainder", "momentum", "momentum-f32", "second-moment"),
        names(layout.planes()));
    List<Plane> ofNorm = layout.planesOf(layout.tensors().get(1));
    assertEquals(List.of("weights", "remainder", "momentum-f32", "second-moment"), names(ofNorm));
    assertEquals("exp_avg", ofNorm.get(2).suffix());
    assertEquals(ADAMW, layout.ruleOf("norms"));
  }

  @Test
  void shouldRefuseARuleOfNoGroup() {
    IllegalArgumentException refused =
        assertThrows(IllegalArgumentException.class, () -> layout(SGD).withRule("none", ADAMW));
    assertEquals("group none has rule adamw, but is not there", refused.getMessage());
  }
}
