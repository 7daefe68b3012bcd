package dev.lionstore.store;

import dev.lionstore.Rounding;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.UpdateRule;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;

/**
 * What a step is called with, beside the gradients.
 *
 * @param config a rule's settings, for most stores that of all groups
 * @param learningRate before a group's scale
 * @param clipNorm the global norm that gradients are clipped to, if they are; positive
 * @param lossScale what the loss was multiplied with; positive
 * @param microBatches how many micro-batches the gradients are the sum of; positive
 * @param rounding instead of the store's
 * @param seed instead of the store's
 * @param missing what a trainable tensor without a gradient means
 * @param position the trainer's own bytes, published with the step
 * @param others settings of further rules, for a store whose groups have several; one for a rule
 */
public record StepRequest(
    RuleSettings config,
    double learningRate,
    OptionalDouble clipNorm,
    double lossScale,
    int microBatches,
    Optional<Rounding> rounding,
    OptionalLong seed,
    Missing missing,
    byte[] position,
    List<RuleSettings> others) {

  /** What a trainable tensor without a gradient means. */
  public enum Missing {
    /** A mistake: the step is refused. */
    REFUSED,
    /** That it is not touched. */
    ALLOWED
  }

  /** Validates. */
  public StepRequest {
    clipNorm.ifPresent(norm -> requirePositive("clip norm", norm));
    requirePositive("loss scale", lossScale);
    requirePositive("micro-batches", microBatches);
    others = List.copyOf(others);
  }

  /** For a store of one rule. */
  public StepRequest(
      RuleSettings config,
      double learningRate,
      OptionalDouble clipNorm,
      double lossScale,
      int microBatches,
      Optional<Rounding> rounding,
      OptionalLong seed,
      Missing missing,
      byte[] position) {
    this(
        config,
        learningRate,
        clipNorm,
        lossScale,
        microBatches,
        rounding,
        seed,
        missing,
        position,
        List.of());
  }

  /** A plain step: nothing clipped, nothing scaled, a gradient for every trainable tensor. */
  public static StepRequest of(RuleSettings config, double learningRate) {
    return new StepRequest(
        config,
        learningRate,
        OptionalDouble.empty(),
        1,
        1,
        Optional.empty(),
        OptionalLong.empty(),
        Missing.REFUSED,
        new byte[0]);
  }

  /** The same, with gradients clipped to a global norm. */
  public StepRequest withClipNorm(double norm) {
    return new StepRequest(
        config,
        learningRate,
        OptionalDouble.of(norm),
        lossScale,
        microBatches,
        rounding,
        seed,
        missing,
        position,
        others);
  }

  /** The same, with gradients of a scaled loss and summed over micro-batches. */
  public StepRequest withScale(double newLossScale, int newMicroBatches) {
    return new StepRequest(
        config,
        learningRate,
        clipNorm,
        newLossScale,
        newMicroBatches,
        rounding,
        seed,
        missing,
        position,
        others);
  }

  /** The same, with another rounding than the store's. */
  public StepRequest withRounding(Rounding newRounding) {
    return new StepRequest(
        config,
        learningRate,
        clipNorm,
        lossScale,
        microBatches,
        Optional.of(newRounding),
        seed,
        missing,
        position,
        others);
  }

  /** The same, with another seed than the store's. */
  public StepRequest withSeed(long newSeed) {
    return new StepRequest(
        config,
        learningRate,
        clipNorm,
        lossScale,
        microBatches,
        rounding,
        OptionalLong.of(newSeed),
        missing,
        position,
        others);
  }

  /** The same, with another meaning of a missing gradient. */
  public StepRequest withMissing(Missing newMissing) {
    return new StepRequest(
        config,
        learningRate,
        clipNorm,
        lossScale,
        microBatches,
        rounding,
        seed,
        newMissing,
        position,
        others);
  }

  /** The same, with the trainer's own bytes. */
  public StepRequest withPosition(byte[] newPosition) {
    return new StepRequest(
        config,
        learningRate,
        clipNorm,
        lossScale,
        microBatches,
        rounding,
        seed,
        missing,
        newPosition,
        others);
  }

  /**
   * The same, with the settings of one more rule, or other ones of a rule that it has: for the
   * groups that are stepped by it.
   */
  public StepRequest withRule(RuleSettings settings) {
    boolean isFirst = settings.rule().equals(config.rule());
    List<RuleSettings> more = new ArrayList<>(others);
    more.removeIf(other -> other.rule().equals(settings.rule()));
    if (!isFirst) {
      more.add(settings);
    }
    return new StepRequest(
        isFirst ? settings : config,
        learningRate,
        clipNorm,
        lossScale,
        microBatches,
        rounding,
        seed,
        missing,
        position,
        more);
  }

  /** All settings. */
  List<RuleSettings> settings() {
    List<RuleSettings> all = new ArrayList<>(List.of(config));
    all.addAll(others);
    return all;
  }

  /** The settings of a rule, if it has any. */
  public Optional<RuleSettings> settings(UpdateRule rule) {
    return settings().stream().filter(settings -> settings.rule().equals(rule)).findFirst();
  }

  private static void requirePositive(String what, double value) {
    if (!(value > 0 && value < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException(what + " is " + value + ", expected a number > 0");
    }
  }
}
