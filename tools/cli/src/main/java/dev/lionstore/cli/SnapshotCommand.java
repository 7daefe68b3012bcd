package dev.lionstore.cli;

import dev.lionstore.checkpoint.ModelExport;
import dev.lionstore.checkpoint.SnapshotWriter;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
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
        "Copies a store's state to DIR/step-NNNNNNNNNNNN, complete and durable or not at all.")
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

  @Override
  public Integer call() throws IOException {
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
        Source.withState(
            store,
            (view, carried) ->
                Terminal.show(
                    "snapshot",
                    SnapshotWriter.progressBytes(view),
                    progress ->
                        SnapshotWriter.write(view, carried, directory, maxShardBytes, progress)));
    if (StoreReader.isStore(store)) {
      Source.note(spec, store, snapshot);
    }
    spec.commandLine().getOut().println(snapshot);
    return 0;
  }
}
