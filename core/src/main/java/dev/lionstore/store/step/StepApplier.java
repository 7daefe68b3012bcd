package dev.lionstore.store.step;

import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.rule.Coefficients;
import dev.lionstore.rule.StochasticBits;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.state.ConcurrentCopy;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.file.Geometry;
import dev.lionstore.store.file.Header;
import dev.lionstore.store.file.Intent;
import dev.lionstore.store.file.LookPlaces;
import dev.lionstore.store.file.Mark;
import dev.lionstore.store.file.ProgressFile;
import dev.lionstore.store.file.StoreFiles;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/**
 * Applies an intent to every chunk that is not stamped with it yet. The same code steps, and
 * finishes a step whose writer was killed; what has been done is not done again.
 */
final class StepApplier implements AutoCloseable {
  private final StoreFiles files;
  private final StoreLayout layout;
  private final Geometry geometry;
  private final ProgressFile progress;
  private final Kernel kernel;
  private final WorkerCrew crew;
  private final List<MappedStepper> mapped = new ArrayList<>();

  /** Of a device, or past the page cache; empty if the CPU steps the mapped planes. */
  private final List<ChunkStepper> others = new ArrayList<>();

  /** If a rule looks at tensors before it steps. */
  private final Optional<TensorLooks> looks;

  private final LookPlaces lookPlaces;

  /** Of tensors that are stepped one by one: no intent has them. */
  private float[] streamedLooks = new float[0];

  private final @Nullable TensorStep[] tensorSteps;
  private final long[] nameKeys;
  private final int[] groups;
  private final List<UpdateRule> ruleOfGroup;
  private final int[] tensorOfChunk;
  private final int slots;
  private final AtomicInteger nextChunk = new AtomicInteger();
  private final WorkerCrew.Task applyChunks = this::applyChunks;

  /** Of each group, for the tensors of which this is the same number of a step. */
  private @Nullable Coefficients[] coefficients = new Coefficients[0];

  private long[] numbers = new long[0];
  private Header header;
  private long mark;
  private int endChunk;
  private List<? extends ChunkStepper> steppers = mapped;
  private final AtomicReference<@Nullable ConcurrentCopy> copy = new AtomicReference<>();

  StepApplier(StoreFiles files, Kernel kernel, WorkerCrew crew, Header header) {
    this.files = files;
    this.layout = files.layout().layout();
    this.geometry = files.geometry();
    this.progress = files.progress();
    this.kernel = kernel;
    this.crew = crew;
    this.header = header;
    List<TensorSpec> tensors = layout.tensors();
    this.lookPlaces = new LookPlaces(layout);
    this.looks =
        lookPlaces.count() == 0
            ? Optional.empty()
            : Optional.of(new TensorLooks(layout, lookPlaces, kernel, crew));
    this.tensorSteps = new TensorStep[tensors.size()];
    this.nameKeys = tensors.stream().mapToLong(t -> StochasticBits.nameKey(t.name())).toArray();
    this.groups = tensors.stream().mapToInt(layout::groupIndex).toArray();
    this.ruleOfGroup = layout.groups().stream().map(g -> layout.ruleOf(g.name())).toList();
    this.tensorOfChunk = new int[geometry.chunkCount()];
    for (int t = 0; t < tensors.size(); t++) {
      Arrays.fill(tensorOfChunk, geometry.firstChunk(t), geometry.firstChunk(t + 1), t);
    }
    for (int worker = 0; worker < crew.workers(); worker++) {
      mapped.add(new MappedStepper(files, kernel, worker));
    }
    if (files.direct().isPresent()) {
      RunSlots slots = DirectStepper.slots(geometry.chunkElements());
      for (int worker = 0; worker < crew.workers(); worker++) {
        others.add(new DirectStepper(files, files.direct().get(), kernel, slots));
      }
      this.slots = slots.count();
    } else if (kernel.unit() != Kernel.Unit.SLICE) {
      int most = ProgressFile.WORKERS / crew.workers();
      int slots = Math.clamp(kernel.chunksAtOnce(geometry.chunkElements()), 1, most);
      for (int worker = 0; worker < crew.workers(); worker++) {
        others.add(new DeviceStepper(files, kernel, worker * slots, slots));
      }
      this.slots = crew.workers() * slots;
    } else {
      this.slots = crew.workers();
    }
  }

  /** Who is told before values change, if anybody copies them. */
  AtomicReference<@Nullable ConcurrentCopy> copy() {
    return copy;
  }

  /** Lets who copies the state see a part of a tensor before it changes. */
  void beforeChange(int tensor, long from, long to) {
    ConcurrentCopy copier = copy.get();
    if (copier != null) {
      copier.beforeChange(tensor, from, to);
    }
  }

  /** Whether chunks in hand are saved whole, and where there must be room for them. */
  boolean savesChunks() {
    return files.direct().isPresent() || kernel.unit() == Kernel.Unit.CHUNK;
  }

  /** How many slots of the progress it uses. */
  int slots() {
    return slots;
  }

  /**
   * Applies what a header intends.
   *
   * @param intending the header as it was written or read, its checksum included
   * @param gradients each tensor's gradient, for those that the intent names
   */
  void apply(Header intending, IntFunction<GradientValues> gradients) {
    prepare(intending, gradients);
    applyChunks(0, tensorOfChunk.length);
  }

  /** Whether a rule looks at tensors before it steps. */
  boolean looks() {
    return looks.isPresent();
  }

  /**
   * Looks at every tensor that would be stepped; changes nothing.
   *
   * @param intending what would be intended
   * @return the same intent with what it has seen
   * @throws IllegalArgumentException naming a tensor that cannot be stepped with what it has seen
   */
  Intent look(Header intending, IntFunction<GradientValues> gradients) {
    Intent intent = intending.intent().orElseThrow();
    if (looks.isEmpty()) {
      return intent;
    }
    kernel.prepare(geometry.trainableElements());
    prepare(intending, gradients);
    float[] looked = new float[lookPlaces.count()];
    looks.get().look(tensorSteps, intent.tensors(), looked);
    return intent.withLooks(looked);
  }

  /** Takes on what a header intends, to be applied tensor by tensor. */
  void prepare(Header intending) {
    header = intending;
    mark = Mark.of(nextStep(), intending.crc());
    Intent intent = intending.intent().orElseThrow();
    coefficients = new Coefficients[intent.hyperparameters().length];
    numbers = new long[coefficients.length];
  }

  private Coefficients coefficients(int tensor) {
    int group = groups[tensor];
    long[] counts = header.stepCounts();
    long number = counts.length == 0 ? 1 : counts[tensor] + 1;
    Coefficients known = coefficients[group];
    if (known == null || numbers[group] != number) {
      Intent intent = header.intent().orElseThrow();
      known =
          ruleOfGroup
              .get(group)
              .coefficients(intent.hyperparameters()[group], intent.gradientScale(), number);
      coefficients[group] = known;
      numbers[group] = number;
    }
    return known;
  }

  /**
   * Looks at one tensor, if its rule does, before it is stepped.
   *
   * @throws IllegalArgumentException if it cannot be stepped with what it has seen
   */
  void lookAt(int tensor, GradientValues gradient) {
    prepare(tensor, gradient);
    if (looks.isPresent() && lookPlaces.of(tensor) > 0) {
      BitSet one = new BitSet();
      one.set(tensor);
      if (streamedLooks.length == 0) {
        streamedLooks = new float[lookPlaces.count()];
      }
      looks.get().look(tensorSteps, one, streamedLooks);
    }
  }

  /** Applies it to one tensor, which has been looked at. */
  void apply(int tensor) {
    applyChunks(geometry.firstChunk(tensor), geometry.firstChunk(tensor + 1));
  }

  /**
   * Takes on what a header intends to the state that a device keeps; the planes stay as they are.
   *
   * @param intending of the step that the device is at
   * @return what each tensor's step is
   */
  List<TensorStep> stepsOf(Header intending, IntFunction<GradientValues> gradients) {
    prepare(intending, gradients);
    return intending.intent().orElseThrow().tensors().stream()
        .filter(tensor -> layout.tensors().get(tensor).count() > 0)
        .mapToObj(this::tensorStep)
        .toList();
  }

  private void applyChunks(int from, int to) {
    kernel.prepare((long) (to - from) * geometry.chunkElements());
    nextChunk.set(from);
    endChunk = to;
    steppers = areOthersReady() ? others : mapped;
    crew.run(applyChunks, Math.ceilDiv(to - from, steppers.getFirst().chunksAtOnce()));
  }

  /** They need room for what they change, unless there is no way back anyway. */
  private boolean areOthersReady() {
    return !others.isEmpty() && (!saves() || others.stream().allMatch(ChunkStepper::canSave));
  }

  private boolean saves() {
    return header.phase() == Header.Phase.APPLYING;
  }

  /** Finishes the chunks that killed workers had in hand, then what they had not begun. */
  void finish(Header intending) {
    IntFunction<GradientValues> kept =
        tensor -> PendingGradients.keptValues(files, tensor).orElseThrow();
    prepare(intending, kept);
    kernel.prepare((long) tensorOfChunk.length * geometry.chunkElements());
    for (int worker = 0; worker < ProgressFile.WORKERS; worker++) {
      resume(worker);
    }
    applyChunks(0, tensorOfChunk.length);
  }

  private void prepare(Header intending, IntFunction<GradientValues> gradients) {
    prepare(intending);
    BitSet tensors = intending.intent().orElseThrow().tensors();
    for (int t = tensors.nextSetBit(0); t >= 0; t = tensors.nextSetBit(t + 1)) {
      prepare(t, gradients.apply(t));
    }
  }

  private void prepare(int tensor, GradientValues gradient) {
    Intent intent = header.intent().orElseThrow();
    Coefficients group = coefficients(tensor);
    long key = StochasticBits.key(intent.seed(), header.step(), nameKeys[tensor]);
    TensorStep step = tensorSteps[tensor];
    if (step == null) {
      tensorSteps[tensor] =
          new TensorStep(files.paddedValues(tensor), gradient, group, intent.rounding(), key);
    } else {
      step.prepare(gradient, group, intent.rounding(), key);
    }
    if (looks.isPresent() && lookPlaces.of(tensor) > 0 && intent.looks().length > 0) {
      looks.get().take(tensor, tensorStep(tensor), intent.looks());
    }
  }

  private void resume(int worker) {
    int chunk = progress.chunkInHand(worker, nextStep());
    if (chunk >= 0 && isOpen(chunk)) {
      int t = tensorOfChunk[chunk];
      try (MappedStepper stepper = new MappedStepper(files, kernel, worker)) {
        stepper.resume(
            tensorStep(t), chunk, geometry.from(chunk, t), geometry.to(chunk, t), nextStep());
      }
      progress.stamp(chunk, mark);
    }
  }

  private void applyChunks(int worker) {
    ChunkStepper stepper = steppers.get(worker);
    Saving saving = saves() ? stepper.saving() : Saving.NONE;
    int most = stepper.chunksAtOnce();
    int end = endChunk;
    for (int c = nextChunk.getAndAdd(most); c < end; c = nextChunk.getAndAdd(most)) {
      int to = Math.min(end, c + most);
      for (int at = c; at < to; ) {
        int next = endOfRun(at, to);
        if (isOpen(at)) {
          apply(stepper, at, next, saving);
        }
        at = next;
      }
    }
  }

  /** The chunk after the last of those that can be stepped at once with a chunk. */
  private int endOfRun(int chunk, int to) {
    int next = chunk + 1;
    while (next < to
        && isOpen(chunk)
        && isOpen(next)
        && tensorOfChunk[next] == tensorOfChunk[chunk]) {
      next++;
    }
    return next;
  }

  private void apply(ChunkStepper stepper, int chunk, int end, Saving saving) {
    int t = tensorOfChunk[chunk];
    long from = geometry.from(chunk, t);
    long to = geometry.to(end - 1, t);
    beforeChange(t, from, to);
    stepper.apply(tensorStep(t), chunk, from, to, nextStep(), saving);
    for (int c = chunk; c < end; c++) {
      progress.stamp(c, mark);
    }
    stepper.stamped();
  }

  /** Ends what its steppers hold. */
  @Override
  public void close() {
    others.forEach(ChunkStepper::close);
    mapped.forEach(ChunkStepper::close);
  }

  private TensorStep tensorStep(int tensor) {
    TensorStep step = tensorSteps[tensor];
    if (step == null) {
      throw new IllegalStateException("tensor " + tensor + " was not prepared");
    }
    return step;
  }

  /** Whether a chunk is to be stepped and has not been. */
  private boolean isOpen(int chunk) {
    return header.intent().orElseThrow().tensors().get(tensorOfChunk[chunk])
        && progress.stamp(chunk) != mark;
  }

  private long nextStep() {
    return header.step() + 1;
  }
}
