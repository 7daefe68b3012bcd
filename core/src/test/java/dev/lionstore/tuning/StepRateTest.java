package dev.lionstore.tuning;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StoreOptions;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class StepRateTest {
  @TempDir Path folder;

  /** Also one that refuses hyperparameters of zero. */
  @Test
  void everyRuleWithAVectorKernelCanBeMeasured() throws IOException {
    for (UpdateRule rule : List.of(UpdateRules.LION, UpdateRules.required("adamw-bf16"))) {
      TensorSpec tensor =
          new TensorSpec(
              "w",
              List.of(StepRate.ELEMENTS),
              ParameterGroup.DEFAULT_NAME,
              TensorSpec.Role.TRAINABLE);
      StoreLayout layout =
          new StoreLayout(
              rule,
              Rounding.NEAREST,
              0,
              GradientPlane.BF16,
              List.of(ParameterGroup.ofDefaults()),
              List.of(tensor));
      StepRate rate = StepRate.create(folder.resolve(rule.name()), layout);
      assertTrue(rate.measure(StoreOptions.defaults().withBackend("vector")) > 1e6, rule.name());
    }
  }
}
