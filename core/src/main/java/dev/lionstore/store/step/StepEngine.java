package dev.lionstore.store.step;

import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.state.ConcurrentCopy;
import dev.lionstore.state.PlaneSource;
import dev.lionstore.store.file.Header;
import dev.lionstore.store.file.HeaderWriter;
import dev.lionstore.store.file.Intent;
import dev.lionstore.store.file.StoreFiles;
import java.io.IOException;
import java.util.BitSet;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/** Takes a store's state from one step to the next, where the state is. */
public abstract sealed class StepEngine implements AutoCloseable
    permits PlanesEngine, ResidentEngine {
  /** The store's files. */
  protected final StoreFiles files;

  /** The store's header. */
  protected final HeaderWriter header;

  /** What applies an intent. */
  protected final StepApplier applier;

  /** For the engines. */
  protected StepEngine(StoreFiles files, HeaderWriter header, StepApplier applier) {
    this.files = files;
    this.header = header;
    this.applier = applier;
  }

  /** The engine of a kernel: in the planes, unless its device keeps the state. */
  public static StepEngine of(
      StoreFiles files, Kernel kernel, WorkerCrew crew, HeaderWriter header) {
    StepApplier applier = new StepApplier(files, kernel, crew, header.newest());
    if (applier.looks() && kernel.resident().isPresent()) {
      throw new IllegalArgumentException(
          "the store's rule looks at tensors, which a device that keeps the state does not: step"
              + " with backend vector");
    }
    return kernel
        .resident()
        .<StepEngine>map(device -> new ResidentEngine(files, header, applier, device))
        .orElseGet(() -> new PlanesEngine(files, header, applier));
  }

  /** Which step the state is of. */
  public abstract StepState state();

  /**
   * Takes a step.
   *
   * @param gradients each tensor's gradient, for those that the intent names
   */
  public abstract void step(Intent intent, byte[] position, IntFunction<GradientValues> gradients);

  /** Brings the planes to the step that the state is of. */
  public abstract void refresh() throws IOException;

  /** Whether the planes are of an earlier step than the state. */
  public abstract boolean isAhead();

  /** Somebody else has changed the planes, at the step that the state is of. */
  public abstract void planesChanged();

  /**
   * Checks that tensors may be stepped one by one.
   *
   * @throws IllegalArgumentException if the state is stepped as a whole
   */
  public abstract void requireStreams();

  /** Whether a rule looks at tensors before it steps. */
  public final boolean looks() {
    return applier.looks();
  }

  /**
   * Looks at the tensors of a step, if their rules do; changes nothing.
   *
   * @return the intent with what it has seen
   * @throws IllegalArgumentException naming a tensor that cannot be stepped with what it has seen
   */
  public final Intent look(Intent intent, IntFunction<GradientValues> gradients) {
    StepState now = state();
    return applier.looks()
        ? applier.look(header.newest().at(now.step(), intent, now.stepCounts()), gradients)
        : intent;
  }

  /**
   * The same with one tensor of a step that has begun.
   *
   * @throws IllegalArgumentException if it cannot be stepped with what it has seen
   */
  public final void lookStreamed(int tensor, GradientValues gradient) {
    applier.lookAt(tensor, gradient);
  }

  /** Begins a step that takes gradients tensor by tensor. */
  public final void beginStreaming(Intent intent, byte[] position) {
    header.intend(intent, position, applier.slots());
    applier.prepare(header.newest());
  }

  /** Steps one tensor of a step that has begun, and that has been looked at. */
  public final void applyStreamed(int tensor) {
    applier.apply(tensor);
  }

  /** Ends a step that these tensors have taken. */
  public final void endStreaming(BitSet stepped, byte[] position) {
    header.publishStep(stepped, position);
  }

  /** Gives up a step that no tensor has taken. */
  public final void giveUpStreaming(byte[] positionBefore) {
    header.giveUp(positionBefore);
  }

  /** Finishes the step that a killed writer had begun. */
  public final void finish() {
    header.markBegun();
    applier.finish(header.newest());
    header.publishStep();
  }

  /** Brings the planes to a state that somebody hands over. */
  public final void replace(StepState state, PlaneSource source) throws IOException {
    header.write(Header.Phase.REFRESHING);
    source.into(files::values);
    header.idleAt(state.step(), state.position(), state.stepCounts());
    planesChanged();
  }

  /** Lets who copies the state see all of it before it is replaced. */
  public final void beforeReplacing() {
    for (int t = 0; t < files.layout().layout().tensors().size(); t++) {
      applier.beforeChange(t, 0, files.layout().layout().tensors().get(t).count());
    }
  }

  /** Lets who copies the state see a part of a tensor before it changes. */
  final void beforeChange(int tensor, long from, long to) {
    applier.beforeChange(tensor, from, to);
  }

  /** Who copies the state, if anybody does. */
  public final AtomicReference<@Nullable ConcurrentCopy> copy() {
    return applier.copy();
  }

  /** Makes room for chunks that are saved whole, where gradients to finish a step from are kept. */
  public final void makeRoom() throws IOException {
    if (applier.savesChunks() && files.gradient().isPresent()) {
      files.allowChunkUndo(applier.slots());
    }
  }

  @Override
  public final void close() {
    applier.close();
  }
}
