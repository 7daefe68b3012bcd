package dev.lionstore.crash.kill;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.StateType;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StepRequest;
import dev.lionstore.store.StepResult;
import dev.lionstore.store.StoreBuilder;
import dev.lionstore.store.StreamingStep;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.SplittableRandom;
import java.util.stream.Stream;

/**
 * A small model and everything that is done to it: a pure function of the seed and the step, so
 * that a run that was killed can be compared with one that was not.
 *
 * <p>Tensors of several chunks, of less than an undo unit, of one element and of none; two groups;
 * clipping, several micro-batches, missing gradients, refused steps and positions of varying
 * lengths in some steps.
 *
 * @param seed decides all of it, the update rules included
 * @param gradientPlane of the store
 * @param rounding of the store
 * @param chunkElements of the store
 * @param rows of the largest tensor, which has 141 columns
 * @param norms whose rule steps the norms
 */
public record Scenario(
    long seed,
    GradientPlane gradientPlane,
    Rounding rounding,
    int chunkElements,
    long rows,
    Norms norms) {
  private static final long FEW_ROWS = 9;

  /** A rule that is in no box: stores know it by its text. */
  private static final UpdateRule OWN =
      UpdateRule.of(
          """
          rule own
          hyperparameters
            learning_rate lr = 0.01 >= 0
            weight_decay λ = 0 >= 0
          state
            momentum m bf16 exp_avg
            slow-momentum s f32 exp_avg_slow
          coefficients
            far = 1 / (1 + n)
          step
            m' = m + 0.1 * (g - m)
            s' = s + far * (g - s)
            θ' = θ - lr * (λ * θ + clip(m' + s', lr + 1))
          """);

  /** The seed chooses one; the first three are those that most tests are about. */
  private static final List<UpdateRule> RULES =
      Stream.of(
              Stream.of("lion", "adamw", "adamw-bf16").map(UpdateRules::required),
              Stream.of(OWN),
              UpdateRules.all().stream())
          .flatMap(rules -> rules)
          .distinct()
          .toList();

  /** For norms beside each of these: with more state, with none, and with less. */
  private static final List<UpdateRule> RULES_OF_NORMS =
      List.of(
          UpdateRules.required("adamw-bf16"), UpdateRules.required("sgd"), UpdateRules.LION, OWN);

  /** Which rule steps the group of norms. */
  public enum Norms {
    /** The store's. */
    ALIKE,
    /** One of their own. */
    APART
  }

  private static final int POSITION_CAPACITY = 8192;
  private static final int INITIAL = -1;
  private static final ValueLayout.OfFloat F32 =
      ValueLayout.JAVA_FLOAT.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** One whose tensors have less than a page. */
  public Scenario(long seed, GradientPlane gradientPlane, Rounding rounding, int chunkElements) {
    this(seed, gradientPlane, rounding, chunkElements, FEW_ROWS);
  }

  /** One whose groups are all stepped by one rule. */
  public Scenario(
      long seed, GradientPlane gradientPlane, Rounding rounding, int chunkElements, long rows) {
    this(seed, gradientPlane, rounding, chunkElements, rows, Norms.ALIKE);
  }

  /** The same with a rule for the norms alone. */
  public Scenario withNormsApart() {
    return new Scenario(seed, gradientPlane, rounding, chunkElements, rows, Norms.APART);
  }

  /** One that keeps gradients, chosen by its seed. */
  public static Scenario of(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    Scenario one =
        new Scenario(
            seed,
            random.nextBoolean() ? GradientPlane.F32 : GradientPlane.BF16,
            random.nextBoolean() ? Rounding.NEAREST : Rounding.STOCHASTIC,
            256 << random.nextInt(5));
    return random.nextInt(3) == 0 ? one.withNormsApart() : one;
  }

  private UpdateRule rule() {
    return RULES.get(Math.floorMod(seed, RULES.size()));
  }

  /** One whose states have the same types where their names are the same. */
  private UpdateRule ruleOfNorms() {
    UpdateRule chosen = RULES_OF_NORMS.get(Math.floorMod(seed, RULES_OF_NORMS.size()));
    if (norms == Norms.ALIKE) {
      return rule();
    }
    return Stream.concat(
            Stream.of(chosen), Arrays.stream(StateType.values()).map(chosen::withState))
        .filter(this::isBesideRule)
        .findFirst()
        .orElse(UpdateRules.required("sgd"));
  }

  private boolean isBesideRule(UpdateRule other) {
    return other.statePlanes().stream()
        .allMatch(plane ->
            rule().statePlanes().stream()
                .filter(own -> own.name().equals(plane.name()))
                .allMatch(plane::equals));
  }

  private StoreLayout layout() {
    return new StoreLayout(
        rule(),
        rounding,
        seed,
        gradientPlane,
        List.of(
            new ParameterGroup("norms", 0.5, OptionalDouble.of(0)), ParameterGroup.ofDefaults()),
        List.of(
            tensor("embedding", ParameterGroup.DEFAULT_NAME, TensorSpec.Role.TRAINABLE, rows, 141L),
            tensor("bias", "norms", TensorSpec.Role.TRAINABLE, 37L),
            tensor("empty", ParameterGroup.DEFAULT_NAME, TensorSpec.Role.TRAINABLE, 0L, 5L),
            tensor("frozen", ParameterGroup.DEFAULT_NAME, TensorSpec.Role.FROZEN, 100L),
            tensor("norm", "norms", TensorSpec.Role.TRAINABLE, 300L),
            tensor("scalar", ParameterGroup.DEFAULT_NAME, TensorSpec.Role.TRAINABLE)),
        Map.of("norms", ruleOfNorms()));
  }

  private static TensorSpec tensor(String name, String group, TensorSpec.Role role, Long... shape) {
    return new TensorSpec(name, List.of(shape), group, role);
  }

  /** Makes the store at step 0. */
  public void create(Path directory) throws IOException {
    StoreLayout layout = layout();
    try (StoreBuilder builder =
        StoreBuilder.create(directory, layout, chunkElements, POSITION_CAPACITY)) {
      for (int t = 0; t < layout.tensors().size(); t++) {
        builder.setMaster(t, values(layout, t, INITIAL, 0), directory);
      }
      builder.finish(0, position(0));
    }
  }

  /** Of a store without a gradient plane. */
  static Scenario streamed(long seed) {
    return new Scenario(seed, GradientPlane.NONE, Rounding.STOCHASTIC, 256);
  }

  /** The same step as {@link #step} would be with a gradient for every tensor, tensor by tensor. */
  void stream(StateStore store) throws IOException {
    long step = store.step();
    StreamingStep streaming = store.beginStreaming(request(step));
    List<TensorSpec> tensors = store.layout().tensors();
    for (int t = tensors.size() - 1; t >= 0; t--) {
      if (tensors.get(t).trainable()) {
        streaming.step(t, values(store.layout(), t, step, 0));
      }
    }
    streaming.finish();
  }

  /** Takes the store from the step that it is at to the next one. */
  public void step(StateStore store) throws IOException {
    long step = store.step();
    SplittableRandom random = random(step, 1);
    if (random.nextInt(8) == 0) {
      refusedStep(store, step);
    }
    int microBatches = gradientPlane == GradientPlane.F32 ? 1 + random.nextInt(2) : 1;
    List<TensorSpec> tensors = store.layout().tensors();
    int always = random.nextInt(2) == 0 ? 2 : 0;
    for (int t = 0; t < tensors.size(); t++) {
      boolean missing = t != always && random.nextInt(5) == 0;
      if (tensors.get(t).trainable() && !missing) {
        put(store, t, step, microBatches);
      }
    }
    StepRequest request = request(step).withScale(2, microBatches);
    StepResult result = store.step(random.nextBoolean() ? request.withClipNorm(3) : request);
    if (!(result instanceof StepResult.Applied applied) || applied.step() != step + 1) {
      throw new IllegalStateException("step " + (step + 1) + " ended with " + result);
    }
  }

  private void put(StateStore store, int tensor, long step, int microBatches) {
    if (microBatches == 1) {
      store.gradients().put(tensor, values(store.layout(), tensor, step, 0));
      return;
    }
    for (int batch = 0; batch < microBatches; batch++) {
      store.gradients().accumulate(tensor, values(store.layout(), tensor, step, batch));
    }
  }

  /** A loss scaler's business: a gradient that is not finite changes nothing. */
  private void refusedStep(StateStore store, long step) throws IOException {
    GradientValues gradient = values(store.layout(), 0, step, 7);
    gradient.data().set(F32, 0, Float.POSITIVE_INFINITY);
    store.gradients().put(0, gradient);
    StepResult result = store.step(request(step));
    if (!(result instanceof StepResult.Refused)) {
      throw new IllegalStateException("an infinite gradient ended with " + result);
    }
  }

  private StepRequest request(long step) {
    double learningRate = 0.01 / (1 + step % 10);
    RuleSettings usual = rule().settings();
    // Rprop takes none.
    RuleSettings settings =
        rule().name().startsWith("rprop") ? usual : usual.with(RuleSettings.WEIGHT_DECAY, 0.1);
    RuleSettings ofNorms = ruleOfNorms().equals(rule()) ? settings : ruleOfNorms().settings();
    return StepRequest.of(settings, learningRate)
        .withRule(ofNorms)
        .withMissing(StepRequest.Missing.ALLOWED)
        .withPosition(position(step + 1));
  }

  /** The trainer's bytes after a step. */
  public byte[] position(long step) {
    SplittableRandom random = random(step, 2);
    byte[] position = new byte[random.nextInt(3) * 1000 + random.nextInt(100)];
    random.nextBytes(position);
    return position;
  }

  /** Values that bfloat16 holds exactly. */
  private GradientValues values(StoreLayout layout, int tensor, long step, int batch) {
    SplittableRandom random = random(step, 100L + tensor * 10L + batch);
    long count = layout.tensors().get(tensor).count();
    MemorySegment data = Arena.ofAuto().allocate(count * Float.BYTES, Float.BYTES);
    for (long i = 0; i < count; i++) {
      int bits = Float.floatToRawIntBits((float) random.nextGaussian()) & 0xFFFF0000;
      data.set(F32, i * Float.BYTES, Float.intBitsToFloat(bits));
    }
    return new GradientValues(ElementType.F32, data);
  }

  private SplittableRandom random(long step, long purpose) {
    return new SplittableRandom(seed * 0x9E3779B97F4A7C15L + step * 1_000_003 + purpose);
  }
}
