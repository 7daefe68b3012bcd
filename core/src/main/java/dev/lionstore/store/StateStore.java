package dev.lionstore.store;

import dev.lionstore.FormatException;
import dev.lionstore.kernel.DeviceException;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.kernel.MasterConversion;
import dev.lionstore.rule.Plane;
import dev.lionstore.state.ConcurrentCopy;
import dev.lionstore.state.Condition;
import dev.lionstore.state.Gradients;
import dev.lionstore.state.NoSpaceException;
import dev.lionstore.state.PlaneSource;
import dev.lionstore.state.StateView;
import dev.lionstore.state.StoreBusyException;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.state.StoreUnusableException;
import dev.lionstore.store.file.Header;
import dev.lionstore.store.file.HeaderWriter;
import dev.lionstore.store.file.Intent;
import dev.lionstore.store.file.LookPlaces;
import dev.lionstore.store.file.Mark;
import dev.lionstore.store.file.PlaneFile;
import dev.lionstore.store.file.StoreFiles;
import dev.lionstore.store.file.StoreLock;
import dev.lionstore.store.file.StoreParts;
import dev.lionstore.store.step.MasterChanges;
import dev.lionstore.store.step.MasterCopy;
import dev.lionstore.store.step.MasterDifferences;
import dev.lionstore.store.step.PendingGradients;
import dev.lionstore.store.step.StepEngine;
import dev.lionstore.store.step.StepState;
import dev.lionstore.store.step.StoreLife;
import dev.lionstore.store.step.WorkerCrew;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A store that is open for stepping. A step is a transaction: whenever the process dies, opening
 * the store again finds it before the step or finishes the step from the gradients it keeps.
 *
 * <p>Gradients of different tensors may be put from several threads; everything else is for one
 * thread at a time. Whoever changes the state gets a {@link StoreUnusableException} if the store is
 * not between steps, or an earlier failure was final.
 */
public final class StateStore implements StateView, AutoCloseable {
  private final StoreLock lock;
  private final StoreFiles files;
  private final Kernels.Selection selection;
  private final Kernel kernel;
  private final WorkerCrew crew;
  private final HeaderWriter header;
  private final StoreSync sync;
  private final Condition found;
  private final StoreLife life;
  private final PendingGradients gradients;
  private final StepEngine engine;
  private final MasterConversion masters = Kernels.masters();
  private final MasterChanges changes;
  private @Nullable StreamingStep streaming;

  private StateStore(StoreOpening opened) {
    this.lock = opened.lock;
    this.files = opened.files;
    this.selection = opened.selection;
    this.kernel = opened.kernel;
    this.crew = opened.crew;
    this.header = opened.header;
    this.sync = opened.sync;
    this.found = opened.found;
    this.life = opened.life;
    this.gradients = opened.gradients;
    this.engine = opened.engine;
    this.changes = opened.changes;
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

  /** Opens a store whose files are changed by other parts, as tests of crashes have them. */
  public static StateStore open(Path directory, StoreOptions options, StoreParts parts)
      throws IOException {
    return new StateStore(StoreOpening.of(directory, options, parts));
  }

  /** What was found when it was opened; what could be finished has been since. */
  public Condition found() {
    return found;
  }

  /** Which kernel steps, and why. */
  public Kernels.Selection selection() {
    return selection;
  }

  /** The gradients of the next step. */
  public Gradients gradients() {
    return gradients;
  }

  /**
   * What a step with these gradients would lose of momentum's changes in rounding. It looks at some
   * values of each tensor and changes nothing.
   *
   * @throws IllegalArgumentException as {@link #step}
   */
  public RoundingLoss roundingLoss(StepRequest request) throws IOException {
    life.requireUsable();
    Intent intent = StepPlan.of(files.layout(), gradients, request).intent();
    if (engine.looks()) {
      gradients.requireReadable();
    }
    return RoundingLoss.of(
        this, gradients, engine.look(intent, gradients::values), new LookPlaces(layout()));
  }

  /**
   * Steps every tensor that has a gradient, and forgets the gradients.
   *
   * @return {@link StepResult.Refused} if a gradient is not finite; the state is then untouched
   * @throws IllegalArgumentException if a hyperparameter is out of its bounds, the rule is another,
   *     the position too long, or gradients are missing; nothing has happened then
   */
  public StepResult step(StepRequest request) throws IOException {
    life.requireUsable();
    requireMoreSteps();
    StepPlan plan = StepPlan.of(files.layout(), gradients, request);
    StepPlan.requireCoefficients(layout(), plan.intent(), engine.state().stepCounts());
    Optional<StepResult.Refused> refused = plan.refusal(layout(), gradients);
    if (refused.isPresent()) {
      gradients.clear();
      return refused.get();
    }
    gradients.requireReadable();
    files.requireUntouched();
    Intent intent = engine.look(plan.intent(), gradients::values);
    life.during(() -> engine.step(intent, request.position(), gradients::values));
    gradients.clear();
    return new StepResult.Applied(step(), plan.gradientNorm(), plan.clipCoefficient());
  }

  /**
   * Begins a step that takes gradients tensor by tensor, for stores without a gradient plane.
   * Nothing else can be done with the store until the step is finished.
   *
   * @throws IllegalArgumentException if the request clips, scales the loss, or is not for this
   *     store; or if the store keeps gradients
   */
  public StreamingStep beginStreaming(StepRequest request) throws IOException {
    life.requireUsable();
    requireMoreSteps();
    if (files.gradient().isPresent()) {
      throw new IllegalArgumentException(
          "this store keeps gradients in a gradient plane: put them there and step");
    }
    StreamingStep step = new StreamingStep(files.layout(), request, life, engine, gradients);
    engine.requireStreams();
    if (!gradients.tensors().isEmpty()) {
      throw new IllegalArgumentException(
          "gradients have been put for a whole step: take it, or discard them before streaming");
    }
    files.requireUntouched();
    step.begin();
    streaming = step;
    return step;
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
  public void refresh(long step, byte[] nextPosition, PlaneSource source) throws IOException {
    life.requireUsable();
    if (step < step() || step > Mark.LAST_STEP) {
      throw new IllegalArgumentException(
          "refreshed with step " + step + ", expected at least " + step());
    }
    StepPlan.requirePositionFits(files.layout(), nextPosition);
    BitSet trained = StepPlan.trained(layout());
    long[] counts = Header.countsAfter(engine.state().stepCounts(), trained, step - step());
    replacePlanes(() -> engine.replace(new StepState(step, nextPosition.clone(), counts), source));
    gradients.clear();
  }

  /**
   * Brings the planes to the step that this store's device is at, if it keeps the state; whatever
   * reads the planes through this store, and closing it, does so by itself. Until this returns the
   * store is marked as not to be trusted. Gradients that have been put stay.
   *
   * @throws DeviceException if the device fails: the store is then unusable
   */
  public void refresh() throws IOException {
    life.requireUsable();
    if (engine.isAhead()) {
      replacePlanes(engine::refresh);
    }
  }

  private void replacePlanes(StoreLife.Change<IOException> change) throws IOException {
    files.requireUntouched();
    engine.beforeReplacing();
    life.during(change);
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
    files.requireUntouched();
    MasterDifferences differences = MasterDifferences.of(files, masters, crew, values);
    if (differences.count() == 0) {
      if (nextPosition.isPresent()) {
        publish(nextPosition.get());
      }
      return 0;
    }
    differences.requireHeld();
    changes.prepare(differences, nextPosition);
    life.during(changes::complete);
    engine.planesChanged();
    return differences.count();
  }

  /**
   * Publishes another position at the step that the store is at.
   *
   * @param nextPosition the trainer's own bytes
   * @throws IllegalArgumentException if they are too many; nothing has happened then
   */
  public void publish(byte[] nextPosition) throws IOException {
    StepPlan.requirePositionFits(files.layout(), nextPosition);
    refresh();
    files.requireUntouched();
    header.publishPosition(nextPosition);
  }

  /**
   * Begins to copy the state of this step while later steps go on: whoever copies learns of every
   * part of a tensor before it changes. It may read {@link #values} that it asked for before, from
   * threads of its own, until {@link #endCopy}, or until it has to stop.
   *
   * @throws IllegalStateException if another copy is under way
   */
  public void beginCopy(ConcurrentCopy copier) throws IOException {
    refresh();
    if (!engine.copy().compareAndSet(null, copier)) {
      throw new IllegalStateException(
          "the state of " + files.directory() + " is being copied already");
    }
  }

  /** Ends a copy. May be called by any thread, and again. */
  public void endCopy(ConcurrentCopy copier) {
    engine.copy().compareAndSet(copier, null);
  }

  /** The step whose state the planes have: what a kill would leave while a device is ahead. */
  public long planesStep() {
    return header.newest().step();
  }

  private void requireMoreSteps() throws StoreUnusableException {
    if (step() >= Mark.LAST_STEP) {
      throw new StoreUnusableException(directory(), "it is at the last step that can be counted");
    }
  }

  /**
   * Makes the state durable against power loss; a kill needs no such call.
   *
   * @throws IOException if the disk fails, which is final for this store
   */
  public void force() throws IOException {
    refresh();
    sync.force();
  }

  @Override
  public Path directory() {
    return files.directory();
  }

  @Override
  public StoreLayout layout() {
    return files.layout().layout();
  }

  @Override
  public long step() {
    return engine.state().step();
  }

  @Override
  public long stepCount(int tensor) {
    return layout().countsSteps() ? engine.state().stepCounts()[tensor] : step();
  }

  /** How long a position may be, in bytes. */
  public int positionCapacity() {
    return files.layout().positionCapacity();
  }

  @Override
  public byte[] position() {
    return engine.state().position().clone();
  }

  @Override
  public MemorySegment values(Plane plane, int tensor) {
    if (engine.isAhead() && life.isOpen()) {
      try {
        refresh();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    return files.values(plane, tensor).asReadOnly();
  }

  /**
   * The bf16 weights of a tensor, in place: contiguous, row-major, little-endian, read-only, valid
   * until the store is closed.
   *
   * @throws IllegalArgumentException if there is no tensor of this name
   */
  public MemorySegment weights(String tensor) {
    return values(Plane.WEIGHTS, layout().indexOf(tensor));
  }

  /**
   * Where a tensor's first value is in a plane's file, {@code NAME.plane} in the store's folder, in
   * bytes from its beginning: for those who map the file themselves.
   *
   * @param tensor its index in the layout
   * @throws IllegalArgumentException if the tensor has no values there
   */
  public long fileOffset(Plane plane, int tensor) {
    if (layout().planesOf(layout().tensors().get(tensor)).stream().noneMatch(plane::isStoredAs)) {
      throw new IllegalArgumentException(
          "tensor "
              + layout().tensors().get(tensor).name()
              + " has no values in plane "
              + plane.name());
    }
    long first = files.geometry().firstElement(plane, tensor);
    return PlaneFile.offset(plane, files.indexOf(plane), first);
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
    life.requireReadable();
    MasterCopy.run(this, masters, crew, to);
  }

  /**
   * Closes it; what it holds is durable afterwards unless this throws. Closing again does nothing.
   */
  @Override
  public void close() throws IOException {
    if (life.isClosed()) {
      return;
    }
    ConcurrentCopy copier = engine.copy().get();
    if (copier != null) {
      copier.stop();
      endCopy(copier);
    }
    if (streaming != null) {
      streaming.giveUp();
    }
    // In reverse: a device may hold the files' memory until its kernel is closed.
    try (lock;
        files;
        kernel) {
      crew.close();
      engine.close();
      if (life.isOpen()) {
        force();
        header.write(Header.Phase.CLEAN);
        sync.forceHeader();
      }
    } finally {
      life.close();
    }
  }
}
