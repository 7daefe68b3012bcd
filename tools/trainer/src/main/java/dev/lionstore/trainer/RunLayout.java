package dev.lionstore.trainer;

import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.state.StoreLayout;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;

/** What a run's store holds. */
public final class RunLayout {
  /** Scales of norms, which weight decay would pull to zero. */
  private static final ParameterGroup NORMS = new ParameterGroup("norms", 1, OptionalDouble.of(0));

  private RunLayout() {}

  /** The layout of a model whose tensors have one rule. */
  public static StoreLayout of(TransformerShape shape, UpdateRule rule) {
    return new StoreLayout(
        rule,
        Rounding.NEAREST,
        0,
        GradientPlane.F32,
        List.of(NORMS, ParameterGroup.ofDefaults()),
        shape.parameters().stream()
            .map(p -> new TensorSpec(p.name(), p.shape(), group(p), TensorSpec.Role.TRAINABLE))
            .toList());
  }

  private static String group(ParameterTensor parameter) {
    return parameter.shape().size() == 1 ? NORMS.name() : ParameterGroup.DEFAULT_NAME;
  }

  /** The layout of a run: with the groups that its optimizer has. */
  static StoreLayout of(TrainingSettings settings) {
    Optimizer optimizer = settings.optimizer();
    StoreLayout plain = of(settings.shape(), optimizer.settings().rule());
    List<ParameterGroup> groups = new ArrayList<>(plain.groups());
    Map<String, String> groupOfTensor = new HashMap<>();
    Map<String, UpdateRule> groupRules = new HashMap<>();
    optimizer
        .groups()
        .forEach((name, own) -> {
          groups.removeIf(group -> group.name().equals(name));
          groups.add(own.group(name));
          own.tensors().forEach(tensor -> groupOfTensor.put(tensor, name));
          groupRules.put(name, own.optimizer().settings().rule());
        });
    return new StoreLayout(
        plain.rule(),
        settings.rounding(),
        settings.seed(),
        settings.gradientPlane(),
        groups,
        plain.tensors().stream()
            .map(tensor ->
                new TensorSpec(
                    tensor.name(),
                    tensor.shape(),
                    groupOfTensor.getOrDefault(tensor.name(), tensor.group()),
                    tensor.role()))
            .toList(),
        groupRules);
  }
}
