package dev.lionstore.cli;

import dev.lionstore.FormatException;
import dev.lionstore.checkpoint.CarriedContent;
import dev.lionstore.checkpoint.ModelFolder;
import dev.lionstore.checkpoint.Snapshot;
import dev.lionstore.checkpoint.SnapshotPointer;
import dev.lionstore.checkpoint.SnapshotSums;
import dev.lionstore.rule.Plane;
import dev.lionstore.safetensors.SafetensorsModel;
import dev.lionstore.state.Condition;
import dev.lionstore.state.StateView;
import dev.lionstore.state.StoreBusyException;
import dev.lionstore.state.StoreUnusableException;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Model.CommandSpec;

/** What a PATH on the command line can be. */
final class Source {
  private Source() {}

  /** Does something with a state. */
  interface StateWork<T> {
    T run(StateView view, CarriedContent carried) throws IOException;
  }

  /** Does something with a plain model. */
  interface ModelWork<T> {
    T run(SafetensorsModel model) throws IOException;
  }

  /** Something that may be refused. */
  interface Attempt<T> {
    T run() throws IOException;
  }

  /**
   * Opens a store or a snapshot, at rest. A snapshot is verified: whatever is made of a damaged one
   * would look whole.
   */
  static <T> T withState(Path path, StateWork<T> work) throws IOException {
    if (StoreReader.isStore(path)) {
      try (StoreReader reader = onStore(path, () -> StoreReader.openAtRest(path));
          CarriedContent carried = onStore(path, () -> CarriedContent.ofStore(reader))) {
        return work.run(reader, carried);
      }
    }
    if (Snapshot.isSnapshot(path)) {
      try (Snapshot snapshot = SnapshotSource.open(path);
          CarriedContent carried = SnapshotSource.attempt(path, snapshot::carried)) {
        SnapshotSource.verify(snapshot);
        return work.run(snapshot, carried);
      }
    }
    requireNoFolderOfSnapshots(path);
    throw notOne(path, "is not a store or a snapshot; lionstore import makes a store of a model");
  }

  /** Opens a store, a snapshot or a plain model. */
  static <T> T with(Path path, StateWork<T> onState, ModelWork<T> onModel) throws IOException {
    if (StoreReader.isStore(path) || Snapshot.isSnapshot(path)) {
      return withState(path, onState);
    }
    try (SafetensorsModel model = anyModel(path)) {
      return onModel.run(model);
    }
  }

  /** Opens a store; a refusal says what to do, and where the newest snapshot is if there is one. */
  static <T> T onStore(Path store, Attempt<T> opening) throws IOException {
    try {
      return opening.run();
    } catch (StoreBusyException e) {
      throw withReason(store, e.getReason() + "; try again later", e);
    } catch (StoreUnusableException e) {
      throw withReason(store, e.getReason() + newest(store), e);
    } catch (FormatException e) {
      throw withSnapshot(store, e);
    }
  }

  /** Some of the store's messages say already what to do. */
  private static FormatException withSnapshot(Path store, FormatException refusal) {
    String message = String.valueOf(refusal.getMessage());
    Optional<Path> newest = SnapshotPointer.read(store);
    if (refusal.isOfNewerVersion()) {
      return refusal;
    }
    if (message.endsWith("restore a snapshot")) {
      return newest.isPresent() ? refusal.withAdvice("the newest is " + newest.get()) : refusal;
    }
    return refusal.withAdvice("restore a snapshot" + newest(store));
  }

  /** What was found in a store, with what to do if it cannot be used as it is. */
  static String sentence(Path store, Condition condition) {
    return condition.usable()
        ? condition.sentence()
        : condition.sentence() + "; restore a snapshot" + newest(store);
  }

  private static String newest(Path store) {
    return SnapshotPointer.read(store)
        .map(snapshot -> " (the newest is " + snapshot + ")")
        .orElse("");
  }

  private static FileSystemException withReason(
      Path path, String reason, FileSystemException cause) {
    FileSystemException said = new FileSystemException(path.toString(), null, reason);
    said.initCause(cause);
    return said;
  }

  /**
   * Notes a store's newest snapshot beside it. A store that can only be read has none: the snapshot
   * is good all the same.
   */
  static void note(CommandSpec command, Path store, Path snapshot) {
    try {
      SnapshotPointer.write(store, snapshot);
    } catch (IOException e) {
      command
          .commandLine()
          .getErr()
          .println(ErrorLine.of(e) + " (the snapshot is good, but not noted beside the store)");
    }
  }

  /** Refuses what is no store, before anybody looks for its files. */
  static void requireStore(Path path) throws FileSystemException {
    if (!StoreReader.isStore(path)) {
      throw notOne(
          path, "is not a store: it has no file \"layout\"; lionstore import or restore makes one");
    }
  }

  /** Opens a plain model; a folder of snapshots is none. */
  static SafetensorsModel model(Path path) throws IOException {
    if (!Files.exists(path)) {
      throw noSuch(path);
    }
    requireNoFolderOfSnapshots(path);
    Optional<Path> snapshot = SnapshotSums.snapshotOf(path);
    if (snapshot.isPresent()) {
      return SnapshotSource.attempt(snapshot.get(), () -> ModelFolder.open(path));
    }
    try {
      return ModelFolder.open(path);
    } catch (FormatException e) {
      throw e.withAdvice("if it should be safetensors, copy or save it again");
    }
  }

  private static void requireNoFolderOfSnapshots(Path path) throws IOException {
    List<Path> snapshots = Snapshot.list(path);
    if (!snapshots.isEmpty()) {
      throw new FileSystemException(
          path.toString(),
          null,
          "is a folder of snapshots; name one of them, for instance " + snapshots.getLast());
    }
  }

  /** Opens a plain model for those who would also take a store or a snapshot. */
  static SafetensorsModel anyModel(Path path) throws IOException {
    if (Files.isDirectory(path)
        && Snapshot.list(path).isEmpty()
        && !ModelFolder.hasSafetensors(path)) {
      throw notOne(
          path,
          "is neither a store (no file \"layout\"), a snapshot (no manifest.json) nor a model (no"
              + " model.safetensors or model.safetensors.index.json); check the path");
    }
    return model(path);
  }

  static FileSystemException notOne(Path path, String why) {
    return Files.exists(path) ? new FileSystemException(path.toString(), null, why) : noSuch(path);
  }

  /** What is not there; a store that was there may have a snapshot. */
  private static FileSystemException noSuch(Path path) {
    return SnapshotPointer.read(path)
        .map(snapshot ->
            new FileSystemException(
                path.toString(),
                null,
                "no such store any more; its newest snapshot is " + snapshot))
        .orElseGet(() -> new NoSuchFileException(path.toString()));
  }

  /** The bytes of a state's planes, padding aside. */
  static long stateBytes(StateView view) {
    return view.layout().tensors().stream()
        .mapToLong(tensor ->
            view.layout().planesOf(tensor).stream()
                .map(Plane::type)
                .mapToLong(type -> type.bytes(tensor.count()))
                .sum())
        .sum();
  }
}
