package dev.lionstore.cli;

import dev.lionstore.checkpoint.Snapshot;
import dev.lionstore.store.StoreBuilder;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code lionstore restore SNAPSHOT STORE}. */
@Command(
    name = "restore",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Verifies a snapshot and makes a store that goes on where it was taken.")
final class RestoreCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(
      index = "0",
      paramLabel = "SNAPSHOT",
      description = "The snapshot, or a folder of snapshots for the newest.")
  private Path path = Path.of("");

  @Parameters(index = "1", paramLabel = "STORE", description = "The folder to make.")
  private Path store = Path.of("");

  @Option(
      names = "--chunk-elements",
      paramLabel = "N",
      description =
          "Elements of a unit of scheduling, a multiple of 256 (default: ${DEFAULT-VALUE}).")
  private int chunkElements = StoreBuilder.DEFAULT_CHUNK_ELEMENTS;

  @Override
  public Integer call() throws IOException {
    Usage.require(
        spec,
        () -> StoreBuilder.requireBounds(chunkElements, StoreBuilder.DEFAULT_POSITION_CAPACITY));
    Path folder = Source.snapshot(path);
    try (Snapshot snapshot = Source.openSnapshot(folder)) {
      Source.onSnapshot(
          folder,
          () ->
              Terminal.show(
                  "restore",
                  snapshot.fileBytes(),
                  progress -> {
                    snapshot.restore(store, chunkElements, progress);
                    return store;
                  }));
      Source.note(spec, store, folder);
      spec.commandLine()
          .getOut()
          .println("restored step " + snapshot.step() + " of " + folder + " to " + store);
    }
    return 0;
  }
}
