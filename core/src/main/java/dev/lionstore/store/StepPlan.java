package dev.lionstore.store;

import dev.lionstore.ParameterGroup;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.file.Intent;
import dev.lionstore.store.file.LayoutFile;
import dev.lionstore.store.step.PendingGradients;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * What a step will do, decided before anything is changed.
 *
 * @param intent what is recorded
 * @param gradientNorm the global norm after unscaling, before clipping; NaN or infinite if a
 *     gradient is
 * @param clipCoefficient what gradients are multiplied with beyond unscaling
 */
record StepPlan(Intent intent, double gradientNorm, double clipCoefficient) {
  /** What is added to the norm before dividing by it, as PyTorch does. */
  private static final double CLIP_EPSILON = 1e-6;

  /**
   * What a step will do whose gradients are not there yet.
   *
   * @throws IllegalArgumentException if it needs them all, or is not for this store
   */
  static Intent streaming(LayoutFile file, StepRequest request) {
    StoreLayout layout = file.layout();
    requireRule(layout, request);
    requirePositionFits(file, request.position());
    if (request.clipNorm().isPresent()) {
      throw new IllegalArgumentException(
          "a streaming step cannot clip: the norm is of all gradients; use a gradient plane");
    }
    if (request.lossScale() != 1) {
      throw new IllegalArgumentException(
          "a streaming step cannot take a scaled loss: an overflow must refuse the whole step;"
              + " use a gradient plane");
    }
    return new Intent(
        request.rounding().orElse(layout.rounding()),
        request.seed().orElse(layout.seed()),
        1.0 / request.microBatches(),
        hyperparameters(layout, request),
        trained(layout));
  }

  /**
   * Checks the coefficients of rules that count steps; those of first steps have been checked.
   *
   * @param counts how many steps each tensor has taken; empty if no rule counts them
   * @throws IllegalArgumentException naming what is beyond float32
   */
  static void requireCoefficients(StoreLayout layout, Intent intent, long[] counts) {
    if (counts.length == 0) {
      return;
    }
    long[] checked = new long[layout.groups().size()];
    Arrays.fill(checked, 1);
    for (int t = intent.tensors().nextSetBit(0); t >= 0; t = intent.tensors().nextSetBit(t + 1)) {
      TensorSpec spec = layout.tensors().get(t);
      int group = layout.groupIndex(spec);
      long number = counts[t] + 1;
      UpdateRule rule = layout.ruleOf(spec);
      if (rule.countsSteps() && checked[group] != number) {
        rule.requireBounds(intent.hyperparameters()[group], number);
        checked[group] = number;
      }
    }
  }

  /** Which tensors are trained. */
  static BitSet trained(StoreLayout layout) {
    BitSet trained = new BitSet();
    for (int t = 0; t < layout.tensors().size(); t++) {
      trained.set(t, layout.tensors().get(t).trainable());
    }
    return trained;
  }

  private static double[][] hyperparameters(StoreLayout layout, StepRequest request) {
    return layout.groups().stream()
        .map(group ->
            request
                .settings(layout.ruleOf(group.name()))
                .orElseThrow()
                .hyperparameters(request.learningRate(), group))
        .toArray(double[][]::new);
  }

  static StepPlan of(LayoutFile file, PendingGradients gradients, StepRequest request) {
    StoreLayout layout = file.layout();
    requireRule(layout, request);
    requirePositionFits(file, request.position());
    BitSet tensors = gradients.tensors();
    requireGradients(layout, tensors, request.missing());
    double divisor = request.lossScale() * request.microBatches();
    double norm = norm(gradients, tensors) / divisor;
    double clip =
        request.clipNorm().isPresent()
            ? Math.min(1, request.clipNorm().getAsDouble() / (norm + CLIP_EPSILON))
            : 1;
    Intent intent =
        new Intent(
            request.rounding().orElse(layout.rounding()),
            request.seed().orElse(layout.seed()),
            clip / divisor,
            hyperparameters(layout, request),
            tensors);
    return new StepPlan(intent, norm, clip);
  }

  private static double norm(PendingGradients gradients, BitSet tensors) {
    double sum = 0;
    for (int t = tensors.nextSetBit(0); t >= 0; t = tensors.nextSetBit(t + 1)) {
      sum += gradients.sumOfSquares(t);
    }
    return Math.sqrt(sum);
  }

  /** The first gradient that is not finite after scaling, if there is one. */
  Optional<StepResult.Refused> refusal(StoreLayout layout, PendingGradients gradients) {
    float scale = (float) intent.gradientScale();
    BitSet tensors = intent.tensors();
    for (int t = tensors.nextSetBit(0); t >= 0; t = tensors.nextSetBit(t + 1)) {
      Optional<StepResult.Refused> found =
          refusal(
              layout.tensors().get(t).name(),
              gradients.values(t),
              gradients.sumOfSquares(t),
              scale);
      if (found.isPresent()) {
        return found;
      }
    }
    return Optional.empty();
  }

  /** The first value of a gradient that is not finite after scaling, if there is one. */
  static Optional<StepResult.Refused> refusal(
      String tensor, GradientValues gradient, double sumOfSquares, float scale) {
    // No value is larger than the root of the sum of squares, so this one test nearly always does.
    return Math.sqrt(sumOfSquares) * scale < Float.MAX_VALUE
        ? Optional.empty()
        : firstNonFinite(tensor, gradient, scale);
  }

  private static Optional<StepResult.Refused> firstNonFinite(
      String tensor, GradientValues gradient, float scale) {
    for (long i = 0; i < gradient.count(); i++) {
      float value = gradient.get(i) * scale;
      if (!Float.isFinite(value)) {
        return Optional.of(new StepResult.Refused(tensor, i, value));
      }
    }
    return Optional.empty();
  }

  private static void requireRule(StoreLayout layout, StepRequest request) {
    if (!layout.groupRules().isEmpty()) {
      requireRules(layout, request);
    } else if (request.settings(layout.rule()).isEmpty() || !request.others().isEmpty()) {
      throw new IllegalArgumentException(
          "the step is for rule "
              + names(request.settings().stream().map(RuleSettings::rule).toList())
              + ", the store is of rule "
              + layout.rule().name()
              + (request.config().rule().name().equals(layout.rule().name())
                  ? " with another text"
                  : ""));
    }
  }

  private static void requireRules(StoreLayout layout, StepRequest request) {
    for (ParameterGroup group : layout.groups()) {
      UpdateRule rule = layout.ruleOf(group.name());
      if (request.settings(rule).isEmpty()) {
        throw new IllegalArgumentException(
            "the step has no settings for rule "
                + rule.name()
                + " of group "
                + group.name()
                + "; add them with StepRequest.withRule");
      }
    }
    for (RuleSettings settings : request.settings()) {
      if (!layout.rules().contains(settings.rule())) {
        throw new IllegalArgumentException(
            "the step has settings for rule "
                + settings.rule().name()
                + ", the store is of rules "
                + names(layout.rules()));
      }
    }
  }

  private static String names(List<UpdateRule> rules) {
    return rules.stream().map(UpdateRule::name).collect(Collectors.joining(", "));
  }

  static void requirePositionFits(LayoutFile file, byte[] position) {
    if (position.length > file.positionCapacity()) {
      throw new IllegalArgumentException(
          "the position has "
              + position.length
              + " bytes, expected at most "
              + file.positionCapacity());
    }
  }

  static void requireGradients(StoreLayout layout, BitSet tensors, StepRequest.Missing missing) {
    List<TensorSpec> specs = layout.tensors();
    for (int t = 0; t < specs.size() && missing == StepRequest.Missing.REFUSED; t++) {
      if (specs.get(t).trainable() && specs.get(t).count() > 0 && !tensors.get(t)) {
        throw new IllegalArgumentException(
            "tensor " + specs.get(t).name() + " has no gradient; allow missing ones to leave it");
      }
    }
    if (tensors.isEmpty() && missing == StepRequest.Missing.ALLOWED) {
      throw new IllegalArgumentException("no tensor has a gradient");
    }
  }
}
