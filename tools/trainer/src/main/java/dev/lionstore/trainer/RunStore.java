package dev.lionstore.trainer;

import dev.lionstore.ElementType;
import dev.lionstore.FormatException;
import dev.lionstore.checkpoint.Snapshot;
import dev.lionstore.checkpoint.SnapshotFolder;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.state.StateView;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.state.StoreUnusableException;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StoreBuilder;
import dev.lionstore.store.StoreOptions;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

/** Opens a run's store, making it first, or bringing it back from the newest snapshot. */
final class RunStore {
  private final RunFolder folder;
  private final TrainingSettings settings;
  private final String text;
  private final Consumer<String> say;

  RunStore(RunFolder folder, TrainingSettings settings, String text, Consumer<String> say) {
    this.folder = folder;
    this.settings = settings;
    this.text = text;
    this.say = say;
  }

  /** The store at the step where the run goes on. */
  StateStore open(StoreOptions options) throws IOException {
    if (!StoreReader.isStore(folder.store())) {
      make(newestGood());
    }
    StateStore store = openOrRestore(options);
    try {
      requireContinuable(store);
      return store;
    } catch (IOException e) {
      store.close();
      throw e;
    }
  }

  private StateStore openOrRestore(StoreOptions options) throws IOException {
    try {
      return StateStore.open(folder.store(), options);
    } catch (StoreUnusableException e) {
      try (StoreReader reader = StoreReader.open(folder.store())) {
        requireSameRun(reader);
      }
      replace(e);
    } catch (FormatException e) {
      if (e.isOfNewerVersion()) {
        throw e;
      }
      // Whose it is cannot be read: without a snapshot of this run it stays where it is.
      if (!hasSnapshots()) {
        throw e.withAdvice(
            "there is no snapshot in "
                + folder.snapshots()
                + " to go on from; to begin anew, move "
                + folder.store()
                + " away or choose another --run");
      }
      replace(e);
    }
    return StateStore.open(folder.store(), options);
  }

  /** Sets a store that cannot be trusted aside, but not before there is something to go on from. */
  private void replace(IOException found) throws IOException {
    say.accept(String.valueOf(found.getMessage()));
    Optional<Path> snapshot = newestGood();
    setAside();
    make(snapshot);
  }

  /** Nothing is deleted: the user may want to look. */
  private void setAside() throws IOException {
    Path store = folder.store().toAbsolutePath();
    int number = 1;
    Path aside = store.resolveSibling(store.getFileName() + ".unusable-" + number);
    while (Files.exists(aside)) {
      number++;
      aside = store.resolveSibling(store.getFileName() + ".unusable-" + number);
    }
    Files.move(store, aside);
    say.accept("it was set aside as " + aside);
  }

  private boolean hasSnapshots() throws IOException {
    return !Snapshot.list(folder.snapshots()).isEmpty();
  }

  /**
   * The newest snapshot whose every byte is good; empty if there is none at all.
   *
   * @throws IOException if there are some, but none is good: to begin anew is the user's decision;
   *     or if they are not of the same tensors
   */
  private Optional<Path> newestGood() throws IOException {
    SnapshotFolder.requireSameTensors(
        folder.snapshots(), "move those that are not the run's away, or choose another --run");
    for (Path candidate : Snapshot.list(folder.snapshots()).reversed()) {
      try (Snapshot snapshot = Snapshot.open(candidate)) {
        requireSameRun(snapshot);
        snapshot.verify(_ -> {});
        return Optional.of(candidate);
      } catch (FormatException e) {
        say.accept(e.getMessage() + "; trying the snapshot before");
      }
    }
    if (hasSnapshots()) {
      throw new IOException(
          folder.snapshots()
              + ": no snapshot is good, and there is no store to go on from; to begin anew, choose"
              + " another --run");
    }
    return Optional.empty();
  }

  private void make(Optional<Path> from) throws IOException {
    if (from.isEmpty()) {
      create();
      return;
    }
    try (Snapshot snapshot = Snapshot.open(from.get())) {
      snapshot.restore(folder.store(), StoreBuilder.DEFAULT_CHUNK_ELEMENTS, _ -> {});
      say.accept("restored step " + snapshot.step() + " from " + from.get());
    }
    folder.note(from.get()).ifPresent(say);
  }

  private void create() throws IOException {
    try (StoreBuilder builder = StoreBuilder.create(folder.store(), RunLayout.of(settings));
        Arena arena = Arena.ofConfined()) {
      List<ParameterTensor> parameters = settings.shape().parameters();
      for (int p = 0; p < parameters.size(); p++) {
        MemorySegment values = arena.allocate(parameters.get(p).count() * Float.BYTES, Float.BYTES);
        InitialValues.fill(settings.shape(), p, settings.seed(), values);
        int tensor = indexOf(builder.layout(), parameters.get(p).name());
        builder.setMaster(tensor, new GradientValues(ElementType.F32, values), folder.store());
      }
      builder.finish(0, TrainingPosition.of(0, settings, text).encode());
    }
    say.accept("made " + folder.store() + " with seed " + settings.seed());
  }

  private void requireContinuable(StateStore store) throws IOException {
    TrainingPosition position = requireSameRun(store);
    if (position.step() != store.step()) {
      throw new IOException(
          folder.store()
              + ": was stepped to "
              + store.step()
              + " by somebody else; the run was at "
              + position.step()
              + "; choose another --run");
    }
    if (!position.cpu().equals(Libtorch.cpuCapability())) {
      say.accept(
          "this machine computes with "
              + Libtorch.cpuCapability()
              + ", the last step was computed with "
              + position.cpu()
              + ": the run goes on, with other bits than it would have had there");
    }
  }

  /** Checks that a state is this run's before anything is done with it. */
  private TrainingPosition requireSameRun(StateView state) throws IOException {
    String owner = state.directory().toString();
    TrainingPosition position = TrainingPosition.decode(state.position(), owner);
    List<String> differences = new ArrayList<>(position.differences(settings));
    if (!position.text().equals(text)) {
      differences.add("the text is another");
    }
    if (!differences.isEmpty()) {
      throw new IOException(
          owner
              + ": holds another run: "
              + String.join("; ", differences)
              + "; resume with the options it began with, or choose another --run");
    }
    return position;
  }

  /** The index of a tensor in a layout. */
  static int indexOf(StoreLayout layout, String name) {
    for (int t = 0; t < layout.tensors().size(); t++) {
      if (layout.tensors().get(t).name().equals(name)) {
        return t;
      }
    }
    throw new IllegalArgumentException("the store has no tensor named " + name);
  }
}
