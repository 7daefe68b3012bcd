package dev.lionstore.trainer;

import dev.lionstore.ElementType;
import dev.lionstore.TensorSpec;
import dev.lionstore.checkpoint.ContentHash;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.Bf16;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StepRequest;
import dev.lionstore.store.StepResult;
import dev.lionstore.store.StoreOptions;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;

/**
 * A training run whose state lives in a store. Killed at any instant and run again, it goes on
 * where it was, with the bits of a run that was never interrupted. ModelGradients go to the store
 * in fp32; each forward pass reads the exact master from it.
 */
public final class TrainingRun implements AutoCloseable {
  /** How many windows of held-out text the loss is of. */
  public static final int HELD_OUT_WINDOWS = 64;

  private final RunFolder folder;
  private final TrainingSettings settings;
  private final Schedule schedule;
  private final Corpus corpus;
  private final String fingerprint;
  private final Listener listener;
  private final StateStore store;
  private final Arena arena = Arena.ofShared();
  private final List<MemorySegment> masters = new ArrayList<>();
  private final int[] tensors;
  private final Transformer model;
  private final LossCurve curve;
  private final RunSnapshots snapshots;

  /**
   * What does not decide bits.
   *
   * @param threads for the model and for the store
   * @param snapshots how they are taken and kept
   * @param evaluateEvery steps between evaluations of the held-out text, at least 1
   * @param heldOutWindows windows of held-out text in an evaluation
   * @param sampleBytes how much text is generated at the end
   */
  public record Schedule(
      int threads,
      RunSnapshots.Settings snapshots,
      long evaluateEvery,
      int heldOutWindows,
      int sampleBytes) {
    /** Refuses what makes no run. */
    public Schedule {
      Require.atLeast(1, "threads", threads);
      Require.positive("evaluation interval", evaluateEvery);
      Require.atLeast(1, "held-out windows", heldOutWindows);
      Require.atLeast(0, "sample bytes", sampleBytes);
    }
  }

  /** Told how the run goes. */
  public interface Listener {
    /** Something that the user should read. */
    void say(String sentence);

    /** A step has been completed. */
    void stepped(LossCurve.Row row, StepResult.Applied result);
  }

  /**
   * How a run ended.
   *
   * @param steps completed steps
   * @param parameters the model's
   * @param bitsPerByteAtFirst held-out loss before the first step, if it was evaluated
   * @param bitsPerByteAtLast held-out loss now
   * @param tokensPerSecond median over the run's steps
   * @param stepMilliseconds median wall time of a step, forward and backward included
   * @param stateBytes of all planes
   * @param swallowedShare the share of momentum's changes that rounding swallowed, the median of
   *     the steps that were looked at
   * @param unmovedShare the share of parameters that are at the end what they were before the first
   *     step
   * @param hash the store's content hash
   * @param sample generated text
   */
  public record Outcome(
      long steps,
      long parameters,
      OptionalDouble bitsPerByteAtFirst,
      double bitsPerByteAtLast,
      double tokensPerSecond,
      double stepMilliseconds,
      long stateBytes,
      double swallowedShare,
      double unmovedShare,
      String hash,
      String sample) {}

  private TrainingRun(
      RunFolder folder,
      TrainingSettings settings,
      Schedule schedule,
      Corpus corpus,
      StateStore store,
      Listener listener)
      throws IOException {
    this.folder = folder;
    this.settings = settings;
    this.schedule = schedule;
    this.corpus = corpus;
    this.fingerprint = corpus.fingerprint();
    this.listener = listener;
    this.store = store;
    List<ParameterTensor> parameters = settings.shape().parameters();
    this.tensors =
        parameters.stream().mapToInt(p -> RunStore.indexOf(store.layout(), p.name())).toArray();
    for (ParameterTensor parameter : parameters) {
      masters.add(arena.allocate(parameter.count() * Float.BYTES, Long.BYTES));
    }
    this.model =
        new Transformer(settings.shape(), Transformer.Precision.F32, masters, schedule.threads());
    this.snapshots = new RunSnapshots(folder, schedule.snapshots(), listener::say);
    this.curve = LossCurve.resume(folder.losses(), store.step());
  }

  /**
   * Begins a run, or takes it up where it was.
   *
   * @throws IOException if the folder holds another run, or the disk fails
   */
  public static TrainingRun open(
      RunFolder folder,
      TrainingSettings settings,
      Schedule schedule,
      Corpus corpus,
      Listener listener)
      throws IOException {
    RunStore runStore = new RunStore(folder, settings, corpus.fingerprint(), listener::say);
    StateStore store =
        runStore.open(
            StoreOptions.defaults().withThreads(schedule.threads()).withNotices(listener::say));
    try {
      return new TrainingRun(folder, settings, schedule, corpus, store, listener);
    } catch (IOException | RuntimeException | Error e) {
      store.close();
      throw e;
    }
  }

  /** Completed steps. */
  public long step() {
    return store.step();
  }

  /**
   * Trains to the end.
   *
   * @throws IOException if a gradient is not finite or the disk fails; what was done stays
   */
  public Outcome run() throws IOException {
    double lastMilliseconds = 0;
    while (store.step() < settings.steps()) {
      long begin = System.nanoTime();
      takeStep(lastMilliseconds);
      lastMilliseconds = (System.nanoTime() - begin) / 1e6;
      if (store.step() % schedule.snapshots().every() == 0) {
        snapshots.begin(store);
      }
    }
    snapshots.begin(store);
    snapshots.complete();
    readMasters();
    double heldOut = heldOutBitsPerByte();
    curve.append(
        new LossCurve.Row(
            store.step(),
            OptionalDouble.empty(),
            OptionalDouble.of(heldOut),
            0,
            lastMilliseconds,
            OptionalDouble.empty()));
    return outcome(heldOut);
  }

  private void takeStep(double lastMilliseconds) throws IOException {
    long step = store.step();
    readMasters();
    OptionalDouble heldOut =
        step % schedule.evaluateEvery() == 0
            ? OptionalDouble.of(heldOutBitsPerByte())
            : OptionalDouble.empty();
    Batch batch = corpus.trainingBatch(settings.seed(), step, settings.windows());
    try (ModelGradients gradients = model.gradients(batch)) {
      double tokensPerSecond =
          lastMilliseconds > 0 ? batch.predictions() / lastMilliseconds * 1e3 : 0;
      put(gradients);
      StepRequest request = request(step);
      LossCurve.Row row =
          new LossCurve.Row(
              step,
              OptionalDouble.of(gradients.bitsPerByte()),
              heldOut,
              tokensPerSecond,
              lastMilliseconds,
              heldOut.isPresent()
                  ? OptionalDouble.of(store.roundingLoss(request).share())
                  : OptionalDouble.empty());
      curve.append(row);
      listener.stepped(row, apply(request));
    }
  }

  private void put(ModelGradients gradients) {
    int index = 0;
    for (Map.Entry<String, MemorySegment> gradient : gradients.byName().entrySet()) {
      store
          .gradients()
          .put(tensors[index], new GradientValues(ElementType.F32, gradient.getValue()));
      index++;
    }
  }

  private StepRequest request(long step) {
    return settings
        .optimizer()
        .request(settings.schedule().at(step))
        .withClipNorm(settings.clipNorm())
        .withPosition(TrainingPosition.of(step + 1, settings, fingerprint).encode());
  }

  private StepResult.Applied apply(StepRequest request) throws IOException {
    StepResult result = store.step(request);
    return switch (result) {
      case StepResult.Applied applied -> applied;
      case StepResult.Refused refused ->
          throw new IOException(
              "the gradient of "
                  + refused.tensor()
                  + ", element "
                  + refused.index()
                  + ", is "
                  + refused.value()
                  + " at step "
                  + store.step()
                  + ": the run has diverged; try a smaller --lr with another --run");
    };
  }

  private void readMasters() {
    for (int p = 0; p < tensors.length; p++) {
      store.copyMaster(tensors[p], 0, masters.get(p));
    }
  }

  private double heldOutBitsPerByte() {
    return model.bitsPerByte(corpus.heldOut(schedule.heldOutWindows()));
  }

  private Outcome outcome(double heldOut) throws IOException {
    List<LossCurve.Row> rows =
        curve.rows().stream().filter(row -> row.training().isPresent()).toList();
    byte[] sample =
        new TextSampler(0.8, settings.seed())
            .continueText(model, new byte[] {TextFiles.SEPARATOR}, schedule.sampleBytes());
    long parameters = settings.shape().parameterCount();
    return new Outcome(
        store.step(),
        parameters,
        rows.isEmpty() ? OptionalDouble.empty() : rows.getFirst().heldOut(),
        heldOut,
        median(rows.stream().mapToDouble(LossCurve.Row::tokensPerSecond).toArray()),
        median(rows.stream().mapToDouble(LossCurve.Row::milliseconds).toArray()),
        stateBytes(store.layout()),
        median(rows.stream().flatMapToDouble(row -> row.swallowed().stream()).toArray()),
        unmovedShare(),
        ContentHash.of(store, _ -> {}),
        new String(sample, StandardCharsets.ISO_8859_1));
  }

  /**
   * Draws the loss curve.
   *
   * @throws IOException if this machine cannot draw, or the disk fails; nothing else is harmed
   */
  public void draw() throws IOException {
    LossChart.write(
        curve.rows(),
        String.format(
            Locale.ROOT,
            "%s, %,d parameters",
            settings.optimizer().rule(),
            settings.shape().parameterCount()),
        folder.chart());
  }

  private static long stateBytes(StoreLayout layout) {
    return layout.tensors().stream()
        .mapToLong(tensor ->
            layout.planesOf(tensor).stream()
                .mapToLong(plane -> plane.type().bytes(tensor.count()))
                .sum())
        .sum();
  }

  /** Counted from the masters that were read last. */
  private double unmovedShare() {
    UpdateRule withoutMaster = UpdateRules.required("lion-bf16");
    long unmoved = 0;
    try (Arena scratch = Arena.ofConfined()) {
      List<ParameterTensor> parameters = settings.shape().parameters();
      for (int p = 0; p < parameters.size(); p++) {
        TensorSpec tensor = store.layout().tensors().get(tensors[p]);
        boolean bf16Alone = store.layout().ruleOf(tensor).equals(withoutMaster);
        MemorySegment initial = scratch.allocate(masters.get(p).byteSize(), Float.BYTES);
        InitialValues.fill(settings.shape(), p, settings.seed(), initial);
        for (long i = 0; i < parameters.get(p).count(); i++) {
          float began = initial.getAtIndex(ValueLayout.JAVA_FLOAT, i);
          float kept = bf16Alone ? Bf16.toFloat(Bf16.nearest(began)) : began;
          unmoved += kept == masters.get(p).getAtIndex(ValueLayout.JAVA_FLOAT, i) ? 1 : 0;
        }
      }
    }
    return (double) unmoved / settings.shape().parameterCount();
  }

  /** The losses of all steps that have been taken. */
  public List<LossCurve.Row> losses() {
    return List.copyOf(curve.rows());
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted.length == 0 ? 0 : sorted[sorted.length / 2];
  }

  @Override
  public void close() throws IOException {
    try (store;
        curve;
        snapshots) {
      model.close();
      arena.close();
    }
  }
}
