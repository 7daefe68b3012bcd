package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StoreLayout;
import java.util.List;
import java.util.OptionalDouble;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class TensorRulesTest {
  private static final UpdateRule ADAMW = UpdateRules.required("adamw");
  private static final UpdateRule SGD = UpdateRules.required("sgd");

  private static StoreLayout layout() {
    return new StoreLayout(
        UpdateRules.LION,
        Rounding.STOCHASTIC,
        5,
        GradientPlane.BF16,
        List.of(
            new ParameterGroup("norms", 0.5, OptionalDouble.of(0)), ParameterGroup.ofDefaults()),
        List.of(
            tensor("norm.a", "norms", TensorSpec.Role.TRAINABLE),
            tensor("norm.b", "norms", TensorSpec.Role.TRAINABLE),
            tensor("norm.frozen", "norms", TensorSpec.Role.FROZEN),
            tensor("matrix", ParameterGroup.DEFAULT_NAME, TensorSpec.Role.TRAINABLE),
            tensor("embedding", ParameterGroup.DEFAULT_NAME, TensorSpec.Role.TRAINABLE)));
  }

  private static TensorSpec tensor(String name, String group, TensorSpec.Role role) {
    return new TensorSpec(name, List.of(2L), group, role);
  }

  private static TensorRules.ByName rule(String names, UpdateRule rule) {
    return new TensorRules.ByName(Pattern.compile(names), rule);
  }

  private static StoreLayout with(TensorRules.ByName... byName) {
    return new TensorRules(UpdateRules.LION, List.of(byName)).in(layout());
  }

  private static String groups(StoreLayout layout) {
    return String.join(
        " ",
        layout.tensors().stream()
            .map(t -> t.name() + ":" + t.group() + ":" + layout.ruleOf(t))
            .toList());
  }

  @Test
  void withoutPatternsALayoutStaysAsItIs() {
    StoreLayout layout = layout();
    assertSame(layout, TensorRules.of(UpdateRules.LION).in(layout));
  }

  @Test
  void theFirstPatternThatMatchesWins() {
    StoreLayout layout = with(rule("norm.*", ADAMW), rule(".*", SGD));
    assertEquals(
        "embedding:default:sgd matrix:default:sgd norm.a:norms:adamw norm.b:norms:adamw"
            + " norm.frozen:norms:adamw",
        groups(layout));
  }

  @Test
  void aGroupOfWhichARuleTakesAPartIsSplit() {
    StoreLayout layout = with(rule("norm.b|embedding", ADAMW));
    assertEquals(
        "embedding:adamw:adamw matrix:default:lion norm.a:norms:lion norm.b:norms-adamw:adamw"
            + " norm.frozen:norms:lion",
        groups(layout));
    assertEquals(
        List.of("norms", "norms-adamw", "default", "adamw"),
        layout.groups().stream().map(ParameterGroup::name).toList());
    assertEquals(
        new ParameterGroup("norms-adamw", 0.5, OptionalDouble.of(0)), layout.groups().get(1));
    assertEquals(Rounding.STOCHASTIC, layout.rounding());
    assertEquals(5, layout.seed());
    assertEquals(GradientPlane.BF16, layout.gradientPlane());
  }

  @Test
  void aPatternThatMatchesNothingThatIsTrainedIsRefused() {
    for (String names : List.of("nrom.*", "norm", "norm.frozen")) {
      IllegalArgumentException refusal =
          assertThrows(IllegalArgumentException.class, () -> with(rule(names, ADAMW)));
      String message = String.valueOf(refusal.getMessage());
      assertTrue(
          message.startsWith("--rule-for " + names + " matches the whole name of none of the 4"),
          message);
    }
  }

  @Test
  void twoGroupsOfOneNameAreRefused() {
    UpdateRule other = UpdateRule.of(ADAMW.text().replace("1e-8", "1e-7").replace("0.01", "0.02"));
    assertEquals("adamw", other.name());
    IllegalArgumentException refusal =
        assertThrows(
            IllegalArgumentException.class,
            () -> with(rule("matrix", ADAMW), rule("embedding", other), rule("norm.*", SGD)));
    String message = String.valueOf(refusal.getMessage());
    assertTrue(message.startsWith("--rule-for makes a group adamw"), message);
  }
}
