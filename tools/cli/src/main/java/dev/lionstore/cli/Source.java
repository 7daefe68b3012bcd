package dev.lionstore.cli;

import dev.lionstore.checkpoint.Carried;
import dev.lionstore.checkpoint.Snapshot;
import dev.lionstore.checkpoint.SnapshotPointer;
import dev.lionstore.rule.Plane;
import dev.lionstore.safetensors.SafetensorsModel;
import dev.lionstore.store.StateView;
import dev.lionstore.store.StoreReader;
import dev.lionstore.store.StoreUnusableException;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Model.CommandSpec;

/** What a PATH on the command line can be. */
final class Source {
  private Source() {}

  /** Does something with a state. */
  interface StateWork<T> {
    T run(StateView view, Carried carried) throws IOException;
  }

  /** Does something with a plain model. */
  interface ModelWork<T> {
    T run(SafetensorsModel model) throws IOException;
  }

  /** Opens a store or a snapshot, at rest. */
  static <T> T withState(Path path, StateWork<T> work) throws IOException {
    if (StoreReader.isStore(path)) {
      try (StoreReader reader = openAtRest(path);
          Carried carried = Carried.ofStore(path)) {
        return work.run(reader, carried);
      }
    }
    if (Snapshot.isSnapshot(path)) {
      try (Snapshot snapshot = Snapshot.open(path);
          Carried carried = snapshot.carried()) {
        return work.run(snapshot, carried);
      }
    }
    throw notOne(path, "a store or a snapshot");
  }

  /** Opens a store, a snapshot or a plain model. */
  static <T> T with(Path path, StateWork<T> onState, ModelWork<T> onModel) throws IOException {
    if (StoreReader.isStore(path) || Snapshot.isSnapshot(path)) {
      return withState(path, onState);
    }
    try (SafetensorsModel model = model(path)) {
      return onModel.run(model);
    }
  }

  private static StoreReader openAtRest(Path store) throws IOException {
    try {
      return StoreReader.openAtRest(store);
    } catch (StoreUnusableException e) {
      throw withOffer(store, e);
    }
  }

  /** The same refusal, with the newest snapshot if there is one. */
  static FileSystemException withOffer(Path store, StoreUnusableException refusal) {
    String offer =
        SnapshotPointer.read(store).map(snapshot -> " (the newest is " + snapshot + ")").orElse("");
    FileSystemException offered =
        new FileSystemException(store.toString(), null, refusal.getReason() + offer);
    offered.initCause(refusal);
    return offered;
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

  /** The snapshot itself, or the newest one in a folder of snapshots. */
  static Path snapshot(Path path) throws IOException {
    if (Snapshot.isSnapshot(path)) {
      return path;
    }
    List<Path> inside = Snapshot.list(path);
    if (inside.isEmpty()) {
      throw notOne(path, "a snapshot or a folder of snapshots");
    }
    return inside.getLast();
  }

  /** Refuses what is no store, before anybody looks for its files. */
  static void requireStore(Path path) throws FileSystemException {
    if (!StoreReader.isStore(path)) {
      throw notOne(path, "a store: it has no file \"layout\"");
    }
  }

  /** Opens a plain model; a folder of snapshots is none. */
  static SafetensorsModel model(Path path) throws IOException {
    if (!Files.exists(path)) {
      throw new NoSuchFileException(path.toString());
    }
    List<Path> snapshots = Snapshot.list(path);
    if (!snapshots.isEmpty()) {
      throw new FileSystemException(
          path.toString(),
          null,
          "is a folder of snapshots; name one of them, for instance " + snapshots.getLast());
    }
    return SafetensorsModel.open(path);
  }

  private static FileSystemException notOne(Path path, String expected) {
    return Files.exists(path)
        ? new FileSystemException(path.toString(), null, "is not " + expected)
        : new NoSuchFileException(path.toString());
  }

  /** The bytes of a state's planes, padding aside. */
  static long stateBytes(StateView view) {
    return view.layout().tensors().stream()
        .mapToLong(tensor ->
            view.layout().planesOf(tensor).stream()
                .map(Plane::type)
                .mapToLong(type -> type.bytes() * tensor.count())
                .sum())
        .sum();
  }
}
