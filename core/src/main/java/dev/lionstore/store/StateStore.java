package dev.lionstore.store;

import dev.lionstore.FormatException;
import dev.lionstore.kernel.DeviceException;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.kernel.MasterConversion;
import dev.lionstore.kernel.ResidentKernel;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A store that is open for stepping. A step is a transaction: whenever the process dies, opening
 * the store again finds it before the step or finishes the step from the gradients it keeps.
 *
 * <p>Gradients of different tensors may be put from several threads; everything else is for one
 * thread at a time.
 */
public final class StateStore implements StateView, AutoCloseable {
  private final Path directory;
  private final StoreLock lock;
  private final StoreFiles files;
  private final Kernels.Selection selection;
  private final WorkerCrew crew;
  private final PendingGradients gradients;
  private final StepApplier applier;
  private final Kernel kernel;
  private final HeaderWriter header;
  private final MasterConversion masters = Kernels.masters();
  private final MasterChanges changes;
  private final Condition found;
  private volatile Life life = Life.OPEN;

  private @Nullable StreamingStep streaming;

  /** The steps that a device keeps and the planes have not seen. */
  private Optional<Ahead> ahead = Optional.empty();

  /** Whether a device keeps what the planes have, or later steps. */
  private boolean loaded;

  /**
   * Where a device is.
   *
   * @param step completed steps
   * @param position the trainer's own bytes of that step
   * @param stepCounts how many steps each tensor has taken, if the rule counts them
   */
  private record Ahead(long step, byte[] position, long[] stepCounts) {}

  /** The position to go back to if a streaming step is given up before it has changed anything. */
  private byte[] positionBefore = new byte[0];

  private enum Life {
    /** Between steps. */
    OPEN,
    /** In a streaming step: nothing else may be done before it ends. */
    STREAMING,
    /** Nothing more may be done with it but closing. */
    FAILED,
    CLOSED;

    String word() {
      return switch (this) {
        case OPEN -> "at the next step";
        case STREAMING -> "in another one";
        case FAILED -> "to be closed and opened again, after a failure";
        case CLOSED -> "closed";
      };
    }
  }

  private StateStore(
      StoreLock lock,
      StoreFiles files,
      Kernels.Selection selected,
      StoreOptions options,
      StoreParts parts)
      throws IOException {
    this.directory = files.directory();
    this.lock = lock;
    this.files = files;
    this.header = new HeaderWriter(files);
    this.found = header.condition();
    if (!found.usable()) {
      throw new StoreUnusableException(directory, found);
    }
    if (lock.wasHeldElsewhereBy(header.newest().writer())) {
      throw new StoreUnusableException(
          directory,
          "process "
              + header.newest().writer().pid()
              + " has written it and lives, but does not hold it: a copy that was made while the"
              + " store was open; copy one that is closed, or a snapshot");
    }
    this.kernel = parts.kernel(selected.kernel());
    String access = options.access().open(files, kernel);
    this.crew =
        new WorkerCrew(files.direct().isPresent() ? DirectStepper.WORKERS : options.threads());
    try {
      this.selection = selected.with(kernel.attach(files.memory())).with(access);
      this.gradients = new PendingGradients(files, kernel);
      this.applier = new StepApplier(files, kernel, crew, header.newest());
      this.changes = new MasterChanges(files, crew, applier, header);
    } catch (RuntimeException | Error e) {
      crew.close();
      throw e;
    }
  }

  /** Opens with {@link StoreOptions#defaults()}. */
  public static StateStore open(Path directory) throws IOException {
    return open(directory, StoreOptions.defaults());
  }

  /**
   * Opens a store for stepping, finishing the step that a killed writer had begun.
   *
   * @throws StoreBusyException if another writer has it open
   * @throws StoreUnusableException if its planes cannot be trusted
   * @throws FormatException if a file is not what it should be
   * @throws IllegalArgumentException if the backend is not there
   */
  public static StateStore open(Path directory, StoreOptions options) throws IOException {
    return open(directory, options, StoreParts.STANDARD);
  }

  static StateStore open(Path directory, StoreOptions options, StoreParts parts)
      throws IOException {
    LayoutFile layout = LayoutFile.read(directory);
    StoreLock lock = StoreLock.acquire(directory);
    try {
      AutoBackend.Choice choice =
          AutoBackend.of(layout.layout().rule())
              .choose(
                  directory,
                  layout.geometry().trainableElements(),
                  () -> planeBytes(layout),
                  options);
      Kernels.Selection kernel = select(layout.layout().rule(), choice);
      StoreFiles files = openFiles(directory, layout, kernel, parts);
      return open(lock, files, kernel, options, parts);
    } catch (IOException | RuntimeException | Error e) {
      lock.close();
      throw e;
    }
  }

  private static long planeBytes(LayoutFile layout) {
    return StoreSize.of(layout.layout(), layout.chunkElements(), layout.positionCapacity())
        .planeBytes();
  }

  private static Kernels.Selection select(UpdateRule rule, AutoBackend.Choice choice) {
    StoreOptions options = choice.options();
    return Kernels.select(options.backend(), rule, options.device()).with(choice.reason());
  }

  /** A kernel that must be compiled is told first, so that it is while the files are mapped. */
  private static StoreFiles openFiles(
      Path directory, LayoutFile layout, Kernels.Selection kernel, StoreParts parts)
      throws IOException {
    try {
      kernel.kernel().expect(layout.geometry().trainableElements());
      return StoreFiles.openWritable(directory, layout, parts);
    } catch (IOException | RuntimeException | Error e) {
      kernel.kernel().close();
      throw e;
    }
  }

  private static StateStore open(
      StoreLock lock,
      StoreFiles files,
      Kernels.Selection kernel,
      StoreOptions options,
      StoreParts parts)
      throws IOException {
    try {
      StateStore store = new StateStore(lock, files, kernel, options, parts);
      store.begin(options.notices());
      return store;
    } catch (IOException | RuntimeException | Error e) {
      kernel.kernel().close(); // it may still hold the files' memory
      files.close();
      throw e;
    }
  }

  /** Brings the store to a step boundary and says durably that it is open. */
  private void begin(Consumer<String> notices) throws IOException {
    try {
      if (!kernel.nonconformance().isEmpty()) {
        ArithmeticFile.add(
            directory, "from step " + planesStep() + " on: " + kernel.nonconformance());
      }
      boolean inStep = header.newest().phase() == Header.Phase.APPLYING;
      if (found.state() == Condition.State.RECOVERING) {
        notices.accept(
            "finishing a " + (inStep ? "step" : "change") + " first: " + found.sentence());
      }
      changes.recover();
      if (inStep) {
        header.begin();
        applier.finish(header.newest());
        header.publishStep();
      } else {
        // Twice: a slot that still says "clean" would be believed after a power loss that tears
        // the other one.
        header.write(Header.Phase.IDLE);
        header.write(Header.Phase.IDLE);
      }
      files.progress().clear(ProgressFile.WORKERS);
      if (applier.savesChunks() && files.gradient().isPresent()) {
        files.allowChunkUndo(applier.slots());
      }
      forceHeader();
    } catch (IOException | RuntimeException | Error e) {
      closeSteppers();
      throw e;
    }
  }

  private void closeSteppers() {
    crew.close();
    applier.close();
  }

  /** What was found when it was opened; what could be finished has been since. */
  public Condition found() {
    return found;
  }

  /** Which kernel steps, and why. */
  public Kernels.Selection kernel() {
    return selection;
  }

  /**
   * Takes a tensor's gradient for the next step, instead of one that came before. Without a
   * gradient plane the caller's memory is read until the step has ended.
   *
   * @param tensor its index in the layout
   * @throws IllegalArgumentException if the tensor is frozen, the size is wrong, or the gradient
   *     plane cannot hold the values exactly
   */
  public void putGradient(int tensor, GradientValues gradient) {
    requireOpen();
    gradients.put(tensor, gradient);
  }

  /**
   * Takes the gradients of many tensors at once, as {@link #putGradient} does, by as many threads
   * as step if all of them may read the gradients.
   *
   * @param all by the tensors' indexes in the layout
   * @throws IllegalArgumentException as {@link #putGradient}, for the first tensor in their order;
   *     if none is frozen or of a wrong size, the others have been put
   */
  public void putGradients(Map<Integer, GradientValues> all) {
    requireOpen();
    gradients.putAll(all, crew);
  }

  /**
   * Adds to a tensor's gradient of the next step, in float32.
   *
   * @param tensor its index in the layout
   * @throws IllegalArgumentException as {@link #putGradient}, or if there is no f32 gradient plane
   */
  public void accumulateGradient(int tensor, GradientValues gradient) {
    requireOpen();
    gradients.accumulate(tensor, gradient);
  }

  /**
   * The sum of squares of a gradient that has been put or accumulated, before anything scales it;
   * finite exactly if all of its values are.
   *
   * @param tensor its index in the layout
   * @throws IllegalArgumentException if it has none
   */
  public double sumOfSquares(int tensor) {
    requireOpen();
    if (!gradients.tensors().get(tensor)) {
      throw new IllegalArgumentException(
          "tensor " + layout().tensors().get(tensor).name() + " has no gradient");
    }
    return gradients.sumOfSquares(tensor);
  }

  /**
   * Copies what the gradient plane holds of a tensor: the gradient that was put or accumulated
   * last, also after the step that took it.
   *
   * @param tensor its index in the layout
   * @param to as many bytes as the tensor's gradient has in the type of the plane
   * @throws IllegalArgumentException if the tensor is frozen or not there, or the size is wrong
   * @throws IllegalStateException if there is no gradient plane, or none was put since the store
   *     was opened
   */
  public void copyGradient(int tensor, MemorySegment to) {
    requireOpen();
    gradients.copyKept(tensor, to);
  }

  /**
   * Takes what the gradient plane holds of a tensor, as {@link #copyGradient} gives it, as its
   * gradient for the next step.
   *
   * @param tensor its index in the layout
   * @throws IllegalArgumentException if the tensor is frozen or not there
   * @throws IllegalStateException if there is no gradient plane, or none was put since the store
   *     was opened
   */
  public void putKept(int tensor) {
    requireOpen();
    gradients.putKept(tensor);
  }

  /** Forgets the gradients that have been put. */
  public void discardGradients() {
    gradients.clear();
  }

  /**
   * What a step with these gradients would lose of momentum's changes in rounding. It looks at some
   * values of each tensor and changes nothing.
   *
   * @throws IllegalArgumentException as {@link #step}
   */
  public Swallowed swallowed(StepRequest request) throws IOException {
    requireUsable();
    return Swallowed.of(this, gradients, StepPlan.of(files.layout(), gradients, request).intent());
  }

  /**
   * Steps every tensor that has a gradient, and forgets the gradients.
   *
   * @return {@link StepResult.Refused} if a gradient is not finite; the state is then untouched
   * @throws IllegalArgumentException if a hyperparameter is out of its bounds, the rule is another,
   *     the position too long, or gradients are missing; nothing has happened then
   * @throws StoreUnusableException if an earlier failure was final
   */
  public StepResult step(StepRequest request) throws IOException {
    requireUsable();
    requireMoreSteps();
    StepPlan plan = StepPlan.of(files.layout(), gradients, request);
    Optional<StepResult.Refused> refused = plan.refusal(files.layout().layout(), gradients);
    if (refused.isPresent()) {
      gradients.clear();
      return refused.get();
    }
    gradients.requireReadableBy(crew.threads());
    files.requireUnchangedSizes();
    life = Life.FAILED; // until the step has ended, whatever is thrown
    if (kernel instanceof ResidentKernel device) {
      step(device, plan.intent(), request.position());
    } else {
      header.intend(plan.intent(), request.position(), applier.slots());
      applier.apply(header.newest(), gradients::values);
      header.publishStep();
    }
    life = Life.OPEN;
    gradients.clear();
    return new StepResult.Applied(step(), plan.gradientNorm(), plan.clipCoefficient());
  }

  /** Nothing of this is written down but that a device is ahead. */
  private void step(ResidentKernel device, Intent intent, byte[] nextPosition) {
    if (!loaded) {
      device.load();
      loaded = true;
    }
    if (ahead.isEmpty()) {
      header.write(Header.Phase.RESIDENT);
    }
    Header intending = header.newest().at(step(), intent, stepCounts());
    applier.apply(device, intending, gradients::values);
    long[] counts = intending.countsAfter(intent.tensors());
    ahead = Optional.of(new Ahead(step() + 1, nextPosition.clone(), counts));
  }

  /**
   * Begins a step that takes gradients tensor by tensor, for stores without a gradient plane.
   * Nothing else can be done with the store until the step is finished.
   *
   * @throws IllegalArgumentException if the request clips, scales the loss, or is not for this
   *     store; or if the store keeps gradients
   * @throws StoreUnusableException if an earlier failure was final
   */
  public StreamingStep beginStreaming(StepRequest request) throws IOException {
    requireUsable();
    requireMoreSteps();
    if (files.gradient().isPresent()) {
      throw new IllegalArgumentException(
          "this store keeps gradients in a gradient plane: put them there and step");
    }
    Intent intent = StepPlan.streaming(files.layout(), request);
    if (kernel instanceof ResidentKernel) {
      throw new IllegalArgumentException(
          "a device that keeps the state takes whole steps: put the gradients and step");
    }
    if (!gradients.tensors().isEmpty()) {
      throw new IllegalArgumentException(
          "gradients have been put for a whole step: take it, or discard them before streaming");
    }
    files.requireUnchangedSizes();
    StreamingStep step = new StreamingStep(this, request);
    positionBefore = header.newest().position().clone();
    life = Life.FAILED;
    header.intend(intent, request.position(), applier.slots());
    applier.begin(header.newest());
    streaming = step;
    life = Life.STREAMING;
    return step;
  }

  /** Checks a streamed gradient, and gives its sum of squares. */
  double scanStreamed(StreamingStep step, int tensor, GradientValues gradient) {
    requireStreaming(step);
    gradients.requireFits(tensor, gradient);
    gradients.requireReadableBy(crew.threads(), tensor, gradient);
    return gradients.sumOfSquares(gradient);
  }

  /** Applies a streamed gradient. */
  void applyStreamed(int tensor, GradientValues gradient) {
    life = Life.FAILED;
    applier.apply(tensor, gradient);
    life = Life.STREAMING;
  }

  /** Publishes a streamed step; returns completed steps. */
  long finishStreamed(StreamingStep step, BitSet stepped, Optional<byte[]> itsPosition) {
    requireStreaming(step);
    itsPosition.ifPresent(bytes -> StepPlan.requirePositionFits(files.layout(), bytes));
    life = Life.FAILED;
    header.publishStep(stepped, itsPosition.orElseGet(() -> header.newest().position()).clone());
    streaming = null;
    life = Life.OPEN;
    return step();
  }

  void requireStreaming(StreamingStep step) {
    if (life != Life.STREAMING || streaming != step) {
      throw new IllegalStateException(
          "the streaming step of " + directory + " has ended: the store is " + life.word());
    }
  }

  /** Writes the state that a device has kept into the planes. */
  public interface Refresh {
    /**
     * Replaces every value of the state.
     *
     * @param planes a tensor's writable values in a plane
     */
    void into(PlaneValues planes) throws IOException;
  }

  /** Where values are. */
  public interface PlaneValues {
    /**
     * A tensor's values in a plane of the state.
     *
     * @param tensor its index in the layout
     */
    MemorySegment of(Plane plane, int tensor);
  }

  /**
   * Brings the planes to a step that has been taken elsewhere: by a device that keeps the state and
   * hands it back now, every trainable tensor in every step. Until this returns the store is marked
   * as not to be trusted: a writer that is killed meanwhile leaves a mixture, which nobody opens. A
   * kill before leaves the step of the last refresh.
   *
   * @param step completed steps, at least as many as now
   * @param nextPosition the trainer's own bytes of that step
   * @throws IllegalArgumentException if the step is earlier, or the position too long; nothing has
   *     happened then
   */
  public void refresh(long step, byte[] nextPosition, Refresh source) throws IOException {
    requireUsable();
    if (step < step() || step > Mark.LAST_STEP) {
      throw new IllegalArgumentException(
          "refreshed with step " + step + ", expected at least " + step());
    }
    StepPlan.requirePositionFits(files.layout(), nextPosition);
    BitSet trained = new BitSet();
    for (int t = 0; t < layout().tensors().size(); t++) {
      trained.set(t, layout().tensors().get(t).trainable());
    }
    long[] counts = Header.countsAfter(stepCounts(), trained, step - step());
    replace(new Ahead(step, nextPosition.clone(), counts), source);
    gradients.clear();
    loaded = false;
  }

  /**
   * Brings the planes to the step that this store's device is at, if it keeps the state; whatever
   * reads the planes through this store, and closing it, does so by itself. Until this returns the
   * store is marked as not to be trusted. Gradients that have been put stay.
   *
   * @throws DeviceException if the device fails: the store is then unusable
   */
  public void refresh() throws IOException {
    requireUsable();
    if (ahead.isPresent() && kernel instanceof ResidentKernel device) {
      replace(ahead.get(), _ -> device.store());
    }
  }

  /**
   * Makes a caller's values masters, where they are not what the caller would have been given: a
   * float32 value that is not the master, a bfloat16 one that is not its weight, a float16 one that
   * is not the master rounded to nearest even, all bit by bit. Other masters stay exactly as they
   * are. Gradients that have been put stay put. It is a transaction: whenever the process dies,
   * opening the store again finds all of the change or none.
   *
   * @param values by the tensors' indexes in the layout, frozen ones too; nobody may change them
   *     until this returns
   * @return how many elements were changed; where none differs, nothing is written
   * @throws IllegalArgumentException if a size is wrong, or a value that differs is not finite or
   *     too large, naming the tensor and the element; nothing has happened then
   * @throws NoSpaceException if the disk has no room for the change's journal, 4 bytes for each
   *     element; nothing has happened then
   * @throws StoreUnusableException if an earlier failure was final, or a streaming step is under
   *     way
   */
  public long changeMasters(Map<Integer, GradientValues> values) throws IOException {
    return changeMasters(values, Optional.empty());
  }

  /**
   * The same, and publishes a position with it.
   *
   * @param nextPosition the trainer's own bytes
   * @throws IllegalArgumentException also if the position is too long; nothing has happened then
   */
  public long changeMasters(Map<Integer, GradientValues> values, byte[] nextPosition)
      throws IOException {
    StepPlan.requirePositionFits(files.layout(), nextPosition);
    return changeMasters(values, Optional.of(nextPosition));
  }

  private long changeMasters(Map<Integer, GradientValues> values, Optional<byte[]> nextPosition)
      throws IOException {
    refresh();
    files.requireUnchangedSizes();
    MasterDifferences differences = MasterDifferences.of(files, masters, crew, values);
    if (differences.count() == 0) {
      if (nextPosition.isPresent()) {
        publish(nextPosition.get());
      }
      return 0;
    }
    differences.requireHeld();
    changes.prepare(differences, nextPosition);
    life = Life.FAILED;
    changes.complete();
    loaded = false;
    life = Life.OPEN;
    return differences.count();
  }

  /**
   * Publishes another position at the step that the store is at.
   *
   * @param nextPosition the trainer's own bytes
   * @throws IllegalArgumentException if they are too many; nothing has happened then
   * @throws StoreUnusableException if an earlier failure was final, or a streaming step is under
   *     way
   */
  public void publish(byte[] nextPosition) throws IOException {
    StepPlan.requirePositionFits(files.layout(), nextPosition);
    refresh();
    files.requireUnchangedSizes();
    header.publishPosition(nextPosition);
  }

  private void replace(Ahead state, Refresh source) throws IOException {
    files.requireUnchangedSizes();
    for (int t = 0; t < layout().tensors().size(); t++) {
      applier.beforeChange(t, 0, layout().tensors().get(t).count());
    }
    life = Life.FAILED;
    header.write(Header.Phase.REFRESHING);
    source.into(files::values);
    header.idleAt(state.step(), state.position(), state.stepCounts());
    ahead = Optional.empty();
    life = Life.OPEN;
  }

  /**
   * Begins to copy the state of this step while later steps go on: whoever copies is told of every
   * part of a tensor before it changes. It may read {@link #values} that it asked for before, from
   * threads of its own, until {@link #endCopy}, or until it is told to stop.
   *
   * @throws IllegalStateException if another copy is under way, or a step
   * @throws StoreUnusableException if an earlier failure was final
   */
  public void beginCopy(ConcurrentCopy copier) throws IOException {
    refresh();
    if (!applier.copy().compareAndSet(null, copier)) {
      throw new IllegalStateException("the state of " + directory + " is being copied already");
    }
  }

  /** Ends a copy; it is told of nothing any more. May be called by any thread, and again. */
  public void endCopy(ConcurrentCopy copier) {
    applier.copy().compareAndSet(copier, null);
  }

  /** The step whose state the planes have: what a kill would leave while a device is ahead. */
  public long planesStep() {
    return header.newest().step();
  }

  /** Gradients that are put after a failure would take the place of those that finish the step. */
  private void requireOpen() {
    switch (life) {
      case OPEN -> {}
      case STREAMING ->
          throw new IllegalStateException("a streaming step of " + directory + " is under way");
      case FAILED -> throw new IllegalStateException("the store " + directory + " has failed");
      case CLOSED -> throw new IllegalStateException("the store " + directory + " is closed");
    }
  }

  private void requireUsable() throws StoreUnusableException {
    switch (life) {
      case OPEN -> {}
      case STREAMING ->
          throw new StoreUnusableException(
              directory, "a streaming step is under way; finish it first");
      case FAILED ->
          throw new StoreUnusableException(
              directory, "an earlier failure was final; close the store and open it again");
      case CLOSED -> throw new StoreUnusableException(directory, "it has been closed");
    }
  }

  private void requireMoreSteps() throws StoreUnusableException {
    if (step() >= Mark.LAST_STEP) {
      throw new StoreUnusableException(directory, "it is at the last step that can be counted");
    }
  }

  /**
   * Makes the state durable against power loss; a kill needs no such call.
   *
   * @throws IOException if the disk fails, which is final for this store
   */
  public void force() throws IOException {
    refresh();
    files.requireStillThere(); // no failed sync: a store that was moved is good where it is
    try {
      files.force();
    } catch (IOException e) {
      syncFailed();
      throw e;
    }
  }

  private void forceHeader() throws IOException {
    try {
      files.header().force();
    } catch (IOException e) {
      syncFailed();
      throw e;
    }
  }

  /**
   * A second sync would succeed although the first has lost something, so this is recorded for
   * those who open the store later.
   */
  private void syncFailed() {
    life = Life.FAILED;
    // Twice: a damaged bit in the only record that says so would give the one before.
    header.write(Header.Phase.SYNC_FAILED);
    header.write(Header.Phase.SYNC_FAILED);
  }

  @Override
  public Path directory() {
    return directory;
  }

  @Override
  public StoreLayout layout() {
    return files.layout().layout();
  }

  @Override
  public long step() {
    return ahead.map(Ahead::step).orElse(planesStep());
  }

  private long[] stepCounts() {
    return ahead.map(Ahead::stepCounts).orElse(header.newest().stepCounts());
  }

  @Override
  public long stepCount(int tensor) {
    return layout().rule().countsSteps() ? stepCounts()[tensor] : step();
  }

  /** How long a position may be, in bytes. */
  public int positionCapacity() {
    return files.layout().positionCapacity();
  }

  @Override
  public byte[] position() {
    return ahead.map(Ahead::position).orElse(header.newest().position()).clone();
  }

  @Override
  public MemorySegment values(Plane plane, int tensor) {
    if (ahead.isPresent() && life == Life.OPEN) {
      try {
        refresh();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    return files.values(plane, tensor).asReadOnly();
  }

  /**
   * Where a tensor's first value is in a plane's file, {@code NAME.plane} in the store's folder, in
   * bytes from its beginning: for those who map the file themselves.
   *
   * @param tensor its index in the layout
   * @throws IllegalArgumentException if the tensor has no values there
   */
  public long fileOffset(Plane plane, int tensor) {
    if (!layout().planesOf(layout().tensors().get(tensor)).contains(plane)) {
      throw new IllegalArgumentException(
          "tensor "
              + layout().tensors().get(tensor).name()
              + " has no values in plane "
              + plane.name());
    }
    int index = layout().planes().indexOf(plane);
    return PlaneFile.offset(plane, index, files.geometry().firstElement(tensor));
  }

  @Override
  public void copyMaster(int tensor, long from, MemorySegment to) {
    masters.join(
        values(Plane.WEIGHTS, tensor).asSlice(2 * from),
        values(Plane.REMAINDER, tensor).asSlice(2 * from),
        to);
  }

  /**
   * Copies all exact masters of tensors, by as many threads as step if all of them may write there.
   *
   * @param to room for each tensor's elements as little-endian float32, by its index in the layout
   * @throws IllegalArgumentException if the room has another size
   */
  public void copyMasters(Map<Integer, MemorySegment> to) {
    if (life != Life.STREAMING) {
      requireOpen();
    }
    MasterCopy.run(this, masters, crew, to);
  }

  /**
   * Closes it; what it holds is durable afterwards unless this throws. Closing again does nothing.
   */
  @Override
  public void close() throws IOException {
    if (life == Life.CLOSED) {
      return;
    }
    ConcurrentCopy copier = applier.copy().get();
    if (copier != null) {
      copier.stop();
      endCopy(copier);
    }
    StreamingStep begun = streaming;
    if (life == Life.STREAMING && begun != null && !begun.hasBegun()) {
      header.giveUp(positionBefore);
      life = Life.OPEN;
    }
    boolean open = life == Life.OPEN;
    // In reverse: a device may hold the files' memory until its kernel is closed.
    try (lock;
        files;
        kernel) {
      closeSteppers();
      if (open) {
        force();
        header.write(Header.Phase.CLEAN);
        forceHeader();
      }
    } finally {
      life = Life.CLOSED;
    }
  }
}
