package dev.lionstore.cli;

import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.checkpoint.TensorRules;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.trainer.LanguageDefaults;
import dev.lionstore.trainer.LearningRateSchedule;
import dev.lionstore.trainer.Optimizer;
import dev.lionstore.trainer.RunLayout;
import dev.lionstore.trainer.TrainingSettings;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The options of {@code train} that decide the run's bits. */
final class TrainOptions {
  @Option(
      names = "--steps",
      paramLabel = "N",
      description = "How many steps the run has (default: ${DEFAULT-VALUE}).")
  private long steps = 600;

  @Option(
      names = "--lr",
      paramLabel = "X",
      description = "Peak learning rate (default: ${DEFAULT-VALUE}).")
  private double learningRate = 1e-3;

  @Option(
      names = "--warm-up",
      paramLabel = "N",
      description = "Steps until the peak (default: a tenth of all, at most 50).")
  private @Nullable Long warmUp;

  @Option(
      names = "--schedule",
      paramLabel = "constant|linear|cosine|stable-decay",
      converter = Converters.OfScheduleShape.class,
      description = "What follows the warm-up (default: cosine).")
  private LearningRateSchedule.Shape shape = LearningRateSchedule.Shape.COSINE;

  @Option(
      names = "--decay",
      paramLabel = "N",
      description = "stable-decay: how many steps at the end decay (default: a fifth of all).")
  private @Nullable Long decay;

  @Option(
      names = "--lr-floor",
      paramLabel = "X",
      description = "Where a decay ends, as a fraction of the peak (default: ${DEFAULT-VALUE}).")
  private double floor = 0.1;

  @Mixin private RuleOption rule = new RuleOption();

  @Mixin private RuleOptions hyperparameters = new RuleOptions();

  @Option(
      names = "--clip-norm",
      paramLabel = "X",
      description = "The global norm that gradients are clipped to (default: ${DEFAULT-VALUE}).")
  private double clipNorm = 1;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "The seed of weights, data order and rounding (default: ${DEFAULT-VALUE}).")
  private long seed = 1;

  @Mixin private ShapeOptions model = new ShapeOptions();

  @Option(
      names = "--rounding",
      paramLabel = "nearest|stochastic",
      converter = Converters.OfRounding.class,
      description = "How bf16 moments are rounded (default: nearest).")
  private Rounding rounding = Rounding.NEAREST;

  @Option(
      names = "--gradient-plane",
      paramLabel = "none|f32",
      converter = Converters.OfGradientPlane.class,
      description = "Which gradients the store keeps (default: f32).")
  private GradientPlane gradientPlane = GradientPlane.F32;

  private long warmUpSteps() {
    return Objects.requireNonNullElse(warmUp, TrainingSettings.usualWarmUp(steps));
  }

  private long decaySteps() {
    return shape == LearningRateSchedule.Shape.STABLE_DECAY
        ? Objects.requireNonNullElse(decay, Math.min(steps / 5, steps - warmUpSteps()))
        : 0;
  }

  private static RuleSettings usual(UpdateRule rule) {
    LanguageDefaults defaults = LanguageDefaults.of(rule);
    return defaults.settings().with(RuleSettings.WEIGHT_DECAY, defaults.weightDecay());
  }

  private StoreLayout layout(Optional<StoreLayout> begun) {
    if (rule.asked().isEmpty() && rule.byName().isEmpty() && begun.isPresent()) {
      return begun.get();
    }
    UpdateRule ofMost = rule.asked().or(() -> begun.map(StoreLayout::rule)).orElseGet(rule::rule);
    return new TensorRules(ofMost, rule.byName()).in(RunLayout.of(model.shape(), ofMost));
  }

  /**
   * The run's settings.
   *
   * @param batch how many windows of text a step has
   * @param begun the layout that the run began with, if it has: its rules need no option again
   */
  TrainingSettings settings(int batch, Optional<StoreLayout> begun) {
    StoreLayout layout = layout(begun);
    List<RuleSettings> settings =
        hyperparameters.settings(layout, its -> usual(its.rule()), learningRate);
    return new TrainingSettings(
        model.shape(),
        batch,
        steps,
        new LearningRateSchedule(shape, learningRate, warmUpSteps(), steps, decaySteps(), floor),
        Optimizer.of(layout, settings, learningRate),
        clipNorm,
        seed,
        rounding,
        gradientPlane);
  }
}
