package dev.lionstore.store;

import dev.lionstore.FormatException;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.mapping.Boot;
import dev.lionstore.rule.Plane;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Optional;
import java.util.UUID;

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
  private final UUID bootId = Boot.id();
  private Header header;
  private boolean failed;

  private StateStore(Path directory, StoreLock lock, StoreFiles files, StoreOptions options)
      throws IOException {
    this.directory = directory;
    this.lock = lock;
    this.files = files;
    this.selection = Kernels.select(options.backend(), files.layout().layout().rule());
    this.header = files.header().newest();
    Condition condition = Condition.of(header, files, bootId);
    if (!condition.usable()) {
      throw new StoreUnusableException(directory, condition);
    }
    this.crew = new WorkerCrew(options.threads());
    this.gradients = new PendingGradients(files, selection.kernel());
    this.applier = new StepApplier(files, selection.kernel(), crew, header);
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
    LayoutFile layout = LayoutFile.read(directory);
    StoreLock lock = StoreLock.acquire(directory);
    try {
      StoreFiles files = StoreFiles.openWritable(directory, layout);
      try {
        StateStore store = new StateStore(directory, lock, files, options);
        store.begin();
        return store;
      } catch (IOException | RuntimeException | Error e) {
        files.close();
        throw e;
      }
    } catch (IOException | RuntimeException | Error e) {
      lock.close();
      throw e;
    }
  }

  /** Brings the store to a step boundary and says durably that it is open. */
  private void begin() throws IOException {
    if (header.phase() == Header.Phase.APPLYING) {
      applier.finish(header);
      publish();
    } else {
      files.progress().clear();
      write(Header.Phase.IDLE, header.step(), header.position(), Optional.empty());
    }
    files.header().force();
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
    gradients.put(tensor, gradient);
  }

  /**
   * Adds to a tensor's gradient of the next step, in float32.
   *
   * @param tensor its index in the layout
   * @throws IllegalArgumentException as {@link #putGradient}, or if there is no f32 gradient plane
   */
  public void accumulateGradient(int tensor, GradientValues gradient) {
    gradients.accumulate(tensor, gradient);
  }

  /** Forgets the gradients that have been put. */
  public void discardGradients() {
    gradients.clear();
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
    StepPlan plan = StepPlan.of(files.layout(), gradients, request);
    Optional<StepResult.Refused> refused = plan.refusal(files.layout().layout(), gradients);
    if (refused.isPresent()) {
      gradients.clear();
      return refused.get();
    }
    files.requireUnchangedSizes();
    Header.Phase phase =
        files.gradient().isPresent() ? Header.Phase.APPLYING : Header.Phase.APPLYING_UNKEPT;
    failed = true; // until the step has ended, whatever is thrown
    write(phase, header.step(), request.position(), Optional.of(plan.intent()));
    applier.apply(header, gradients::values);
    publish();
    failed = false;
    gradients.clear();
    return new StepResult.Applied(header.step(), plan.gradientNorm(), plan.clipCoefficient());
  }

  /** The step has been applied everywhere: the store is idle at the next one. */
  private void publish() {
    long next = header.step() + 1;
    files.planes().forEach(plane -> plane.publish(next));
    write(Header.Phase.IDLE, next, header.position(), Optional.empty());
  }

  private void write(Header.Phase phase, long step, byte[] position, Optional<Intent> intent) {
    Header next =
        new Header(
            header.generation() + 1,
            phase,
            step,
            bootId,
            phase == Header.Phase.CLEAN ? Header.Writer.NONE : Header.Writer.self(),
            position,
            intent,
            0);
    header = next.withCrc(files.header().write(next));
  }

  private void requireUsable() throws StoreUnusableException {
    if (failed) {
      throw new StoreUnusableException(
          directory, "an earlier failure was final; close the store and open it again");
    }
  }

  /**
   * Makes the state durable against power loss; a kill needs no such call.
   *
   * @throws IOException if the disk fails, which is final for this store
   */
  public void force() throws IOException {
    requireUsable();
    failed = true;
    files.force();
    failed = false;
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
    return header.step();
  }

  @Override
  public byte[] position() {
    return header.position().clone();
  }

  @Override
  public MemorySegment values(Plane plane, int tensor) {
    return files.values(plane, tensor).asReadOnly();
  }

  /** Closes it; what it holds is durable afterwards unless this throws. */
  @Override
  public void close() throws IOException {
    crew.close();
    try (lock;
        files) {
      if (!failed) {
        force();
        write(Header.Phase.CLEAN, header.step(), header.position(), Optional.empty());
        files.header().force();
      }
    }
  }
}
