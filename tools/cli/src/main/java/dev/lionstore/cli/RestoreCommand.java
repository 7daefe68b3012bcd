package dev.lionstore.cli;

import dev.lionstore.FormatException;
import dev.lionstore.checkpoint.NestedFolders;
import dev.lionstore.checkpoint.Snapshot;
import dev.lionstore.checkpoint.SnapshotFolder;
import dev.lionstore.checkpoint.Subset;
import dev.lionstore.checkpoint.VerificationNote;
import dev.lionstore.store.StoreBuilder;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code lionstore restore SNAPSHOT STORE}. */
@Command(
    name = "restore",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description =
        "Verifies a snapshot and makes a store that goes on where it was taken. Of a folder of"
            + " snapshots it takes the newest that is good, and says which are damaged.")
final class RestoreCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(
      index = "0",
      paramLabel = "SNAPSHOT",
      description = "The snapshot, or a folder of snapshots for the newest good one.")
  private Path path = Path.of("");

  @Parameters(index = "1", paramLabel = "STORE", description = "The folder to make.")
  private Path store = Path.of("");

  @Option(
      names = "--step",
      paramLabel = "N",
      description = "The snapshot of this step in a folder (default: the newest good one).")
  private @Nullable Long step;

  @Option(
      names = "--chunk-elements",
      paramLabel = "N",
      description =
          "Elements of a unit of scheduling, a multiple of 256 (default: ${DEFAULT-VALUE}).")
  private int chunkElements = StoreBuilder.DEFAULT_CHUNK_ELEMENTS;

  @Mixin private MatchOption match = new MatchOption();

  @Override
  public Integer call() throws IOException {
    Usage.require(
        spec,
        () -> StoreBuilder.requireBounds(chunkElements, StoreBuilder.DEFAULT_POSITION_CAPACITY));
    NestedFolders.requireOutside(store); // before a failure is laid to a snapshot
    if (step == null && !Snapshot.isSnapshot(path)) {
      restoreNewestGood();
    } else {
      Path folder = step == null ? path : SnapshotSource.ofStep(path, step);
      SnapshotSource.attempt(folder, () -> restore(folder));
    }
    return 0;
  }

  private void restoreNewestGood() throws IOException {
    List<Path> snapshots = SnapshotSource.all(path);
    SnapshotFolder.requireSameTensors(path, "name the snapshot that you mean");
    for (Path folder : snapshots.reversed()) {
      try {
        restore(folder);
        return;
      } catch (IOException e) {
        if (!SnapshotSource.isDamage(folder, e)) {
          throw e;
        }
        boolean isLast = folder.equals(snapshots.getFirst());
        String line = ErrorLine.of(e) + (isLast ? "" : "; trying the snapshot before it");
        spec.commandLine().getErr().println(line);
      }
    }
    throw new FileSystemException(
        path.toString(), null, "holds no good snapshot; use one from somewhere else");
  }

  private Path restore(Path folder) throws IOException {
    try (Snapshot snapshot = Snapshot.open(folder)) {
      Optional<Subset> part = match.part(snapshot);
      Terminal.show(
          "restore",
          snapshot.fileBytes(),
          progress -> {
            snapshot.restore(store, chunkElements, match.names(), progress);
            return store;
          });
      VerificationNote.write(folder);
      if (part.isPresent()) {
        MatchOption.say(spec, folder, part.get()); // the whole snapshot is none of this store
      } else {
        Source.note(spec, store, folder);
      }
      spec.commandLine()
          .getOut()
          .println("restored step " + snapshot.step() + " of " + folder + " to " + store);
      return folder;
    } catch (FormatException e) {
      VerificationNote.remove(folder);
      throw e;
    }
  }
}
