package dev.lionstore.audit;

import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.UpdateRules;
import java.math.BigDecimal;
import java.math.MathContext;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Lion's settings for what AdamW was set to, by the rule of its paper (arXiv 2302.06675, section
 * 5): the learning rate divided by 3 to 10 and the weight decay multiplied with the same, so that
 * their product stays.
 *
 * @param candidates to try, the one to begin with first
 * @param beta1 how much momentum an update takes
 * @param beta2 how much momentum is kept
 * @param warnings what has gone wrong for others, as far as it may apply, a sentence each
 */
public record LionSettings(
    List<Candidate> candidates, double beta1, double beta2, List<String> warnings) {
  private static final List<Integer> FACTORS = List.of(10, 5, 3);
  private static final int LEAST_BATCH = 64;

  /** A third of 3e-4 is 1e-4, also in binary. */
  private static final double ROUNDED = 1 + 1e-9;

  private static final BigDecimal SMALL = new BigDecimal("0.001");

  /** For language (the paper, section 5). */
  private static final double LANGUAGE_BETA1 = 0.95;

  private static final double LANGUAGE_BETA2 = 0.98;

  /**
   * A learning rate and its weight decay.
   *
   * @param factor what AdamW's were divided by and multiplied with
   */
  public record Candidate(int factor, double learningRate, double weightDecay) {}

  /** What the model is for. */
  public enum Task {
    /** Text: shorter memory. */
    LANGUAGE,
    /** Anything else. */
    OTHER
  }

  /** Copies. */
  public LionSettings {
    candidates = List.copyOf(candidates);
    warnings = List.copyOf(warnings);
  }

  /**
   * Converts.
   *
   * @param freedBytes what Lion's state takes less than that of mixed-precision AdamW; 0 if no
   *     model was named
   */
  public static LionSettings of(AdamWSettings adamw, Task task, long freedBytes) {
    List<Candidate> candidates =
        FACTORS.stream()
            .map(factor ->
                new Candidate(
                    factor,
                    rounded(adamw.learningRate() / factor),
                    rounded(adamw.weightDecay() * factor)))
            .toList();
    RuleSettings defaults = UpdateRules.LION.settings();
    boolean language = task == Task.LANGUAGE;
    return new LionSettings(
        candidates,
        language ? LANGUAGE_BETA1 : defaults.get("beta1"),
        language ? LANGUAGE_BETA2 : defaults.get("beta2"),
        warnings(adamw, freedBytes));
  }

  /** Decimal numbers that people typed come out as decimal numbers. */
  private static double rounded(double value) {
    return new BigDecimal(value).round(new MathContext(12)).doubleValue();
  }

  private static List<String> warnings(AdamWSettings adamw, long freedBytes) {
    List<String> warnings = new ArrayList<>();
    addRates(warnings, adamw);
    addSchedule(warnings, adamw);
    if (adamw.batch().isEmpty() || adamw.batch().getAsLong() < LEAST_BATCH) {
      warnings.add(
          (adamw.batch().isEmpty() ? "batch" : "a batch of " + adamw.batch().getAsLong())
              + ": Lion's advantage grows with the batch; take "
              + LEAST_BATCH
              + " or more, below it AdamW may be better");
    }
    warnings.add(
        "sparse gradients: a row of an embedding that a batch does not touch still moves by lr, in"
            + " the direction of its old momentum, in every step; freeze such tables, give them a"
            + " group with a small --lr-scale, or leave them to AdamW");
    warnings.add(
        freedBytes > 0
            ? String.format(
                Locale.ROOT,
                "freed memory: %.2f GB less state than mixed-precision AdamW; use it for a larger"
                    + " batch, or it is lost",
                freedBytes / 1e9)
            : "freed memory: 8 bytes per parameter less state than mixed-precision AdamW; use it for"
                + " a larger batch, or it is lost");
    return warnings;
  }

  private static void addRates(List<String> warnings, AdamWSettings adamw) {
    if (adamw.weightDecay() == 0) {
      warnings.add(
          "weight decay is 0, and stays 0 however it is scaled: Lion's updates do not shrink with"
              + " the gradient, so weights grow without it; the paper's lr x wd are 1e-6 (language),"
              + " 3e-6 (diffusion) and 1e-3 (ViT)");
    }
    double product = adamw.learningRate() * adamw.weightDecay();
    adamw
        .lionLearningRate()
        .ifPresent(lr -> {
          if (lr > adamw.learningRate() / 3 * ROUNDED) {
            warnings.add(
                String.format(
                    Locale.ROOT,
                    "lion-lr %s is an AdamW learning rate: Lion moves every weight by all of it in"
                        + " every step; at most a third of AdamW's, %s",
                    shown(lr),
                    shown(adamw.learningRate() / 3)));
          } else if (lr * ROUNDED < adamw.learningRate() / 10) {
            warnings.add(
                String.format(
                    Locale.ROOT,
                    "lion-lr %s is below a tenth of AdamW's, %s: more steps than need be",
                    shown(lr),
                    shown(adamw.learningRate() / 10)));
          }
          adamw
              .lionWeightDecay()
              .ifPresent(wd -> {
                if (lr * wd < product / 2) {
                  warnings.add(
                      String.format(
                          Locale.ROOT,
                          "lion-wd %s is too small: what acts is lr x wd, %s instead of AdamW's %s;"
                              + " take %s",
                          shown(wd),
                          shown(lr * wd),
                          shown(product),
                          shown(product / lr)));
                }
              });
        });
  }

  private static void addSchedule(List<String> warnings, AdamWSettings adamw) {
    if (adamw.schedule().filter(name -> name.equals("constant")).isEmpty()) {
      warnings.add(
          "schedule"
              + adamw.schedule().map(name -> " " + name).orElse("")
              + ": divide its start, peak and end by the same factor; the warm-up keeps its steps");
    }
  }

  /** A number in three digits at most, for people. */
  public static String shown(double value) {
    BigDecimal digits = new BigDecimal(value).round(new MathContext(3)).stripTrailingZeros();
    boolean small = digits.signum() != 0 && digits.abs().compareTo(SMALL) < 0;
    if (!small) {
      return digits.toPlainString();
    }
    int exponent = digits.precision() - digits.scale() - 1;
    return digits.scaleByPowerOfTen(-exponent).toPlainString() + "e" + exponent;
  }
}
