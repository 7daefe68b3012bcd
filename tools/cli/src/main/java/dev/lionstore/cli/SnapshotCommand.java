package dev.lionstore.cli;

import dev.lionstore.FormatException;
import dev.lionstore.checkpoint.CarriedContent;
import dev.lionstore.checkpoint.ModelExport;
import dev.lionstore.checkpoint.NestedFolders;
import dev.lionstore.checkpoint.Retention;
import dev.lionstore.checkpoint.Snapshot;
import dev.lionstore.checkpoint.SnapshotFolder;
import dev.lionstore.checkpoint.SnapshotWriter;
import dev.lionstore.checkpoint.StandingSnapshot;
import dev.lionstore.checkpoint.Verified;
import dev.lionstore.state.StateView;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code lionstore snapshot STORE DIR}. */
@Command(
    name = "snapshot",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description =
        "Copies a store's state to DIR/step-NNNNNNNNNNNN, complete and durable or not at all; an"
            + " equal one that is there already will do.")
final class SnapshotCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(index = "0", paramLabel = "STORE", description = "The store.")
  private Path store = Path.of("");

  @Parameters(index = "1", paramLabel = "DIR", description = "The folder of snapshots.")
  private Path directory = Path.of("");

  @Option(
      names = "--max-shard-size",
      paramLabel = "SIZE",
      converter = Converters.OfBytes.class,
      description = "The largest file, in bytes or for instance 500MB (default: 5GB).")
  private long maxShardBytes = ModelExport.DEFAULT_SHARD_BYTES;

  @Mixin private MatchOption match = new MatchOption();

  @Option(
      names = "--keep",
      paramLabel = "N",
      converter = Converters.OfCount.class,
      description =
          "Read the snapshot back, then keep it and the N - 1 before it and remove older ones of"
              + " the model from DIR (default: remove none).")
  private @Nullable Integer keep;

  @Override
  public Integer call() throws IOException {
    NestedFolders.requireFolderOutside(directory);
    boolean isNew = !Files.exists(directory);
    try {
      return take();
    } catch (IOException | RuntimeException | Error e) {
      if (isNew) {
        removeIfEmpty();
      }
      throw e;
    }
  }

  private void removeIfEmpty() {
    try {
      Files.deleteIfExists(directory);
    } catch (IOException e) {
      // It holds something; and what stopped the snapshot is what the user should read.
    }
  }

  private int take() throws IOException {
    Path snapshot =
        match.withState(
            spec,
            store,
            (view, carried) -> {
              SnapshotFolder.requireTensors(directory, view.layout());
              Path place = SnapshotWriter.path(directory, view.step());
              return Snapshot.isSnapshot(place)
                  ? requireSame(place, view, carried)
                  : write(place, view, carried);
            });
    Optional<Verified> verified = keep == null ? Optional.empty() : Optional.of(readBack(snapshot));
    if (StoreReader.isStore(store) && !match.isGiven()) { // a part does not replace the store
      Source.note(spec, store, snapshot);
    }
    if (keep != null && verified.isPresent()) {
      removeOlder(verified.get(), keep);
    }
    spec.commandLine().getOut().println(snapshot);
    return 0;
  }

  private Path write(Path place, StateView view, CarriedContent carried) throws IOException {
    try {
      return Terminal.show(
          "snapshot",
          SnapshotWriter.progressBytes(view),
          progress -> SnapshotWriter.write(view, carried, directory, maxShardBytes, progress));
    } catch (FileSystemException e) {
      if (!Snapshot.isSnapshot(place)) {
        throw e;
      }
      return requireSame(place, view, carried); // somebody has taken it meanwhile
    }
  }

  private static Verified readBack(Path snapshot) throws IOException {
    try {
      return SnapshotSource.verifyAndNote(snapshot);
    } catch (FormatException e) {
      throw e.withAdvice(
          "it was just written, so check the disk; no snapshot was removed; "
              + SnapshotSource.advice(snapshot));
    }
  }

  private void removeOlder(Verified newest, int count) throws IOException {
    Retention.Outcome outcome = Retention.keep(newest, count);
    PrintWriter err = spec.commandLine().getErr();
    outcome.leftAlone().forEach(sentence -> err.println(ErrorLine.of(sentence)));
    outcome.removed().forEach(path -> err.println(ErrorLine.of(path + ": removed")));
  }

  /** A snapshot that stands already will do if it is whole and holds the same. */
  private Path requireSame(Path place, StateView view, CarriedContent carried) throws IOException {
    StandingSnapshot.requireEqual(
        place,
        view,
        carried,
        Map.of(),
        (bytes, check) -> Terminal.show("verify", bytes, check::run));
    spec.commandLine().getErr().println("lionstore: " + place + ": already there, whole and equal");
    return place;
  }
}
