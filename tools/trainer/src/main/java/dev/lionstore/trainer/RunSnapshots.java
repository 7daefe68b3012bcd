package dev.lionstore.trainer;

import dev.lionstore.checkpoint.Snapshot;
import dev.lionstore.checkpoint.SnapshotJob;
import dev.lionstore.checkpoint.SnapshotOptions;
import dev.lionstore.checkpoint.SnapshotWriter;
import dev.lionstore.store.StateStore;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** The snapshots of a run, each written while the run goes on. */
final class RunSnapshots implements AutoCloseable {
  private final RunFolder folder;
  private final SnapshotOptions options;
  private final Consumer<String> say;
  private @Nullable SnapshotJob begun;
  private boolean saidNotNoted;

  /**
   * None yet.
   *
   * @param memoryBytes the most memory that one may take besides the state
   * @param say told what the user should read
   */
  RunSnapshots(RunFolder folder, long memoryBytes, Consumer<String> say) {
    this.folder = folder;
    this.options = SnapshotOptions.defaults().withMemoryBytes(memoryBytes);
    this.say = say;
  }

  /**
   * Begins one of the step at which the store is, unless there is one, when the one before is
   * complete.
   *
   * @throws IOException if the one before or this one cannot be written
   */
  void begin(StateStore store) throws IOException {
    complete();
    Path place = SnapshotWriter.path(folder.snapshots(), store.step());
    if (!Snapshot.list(folder.snapshots()).contains(place)) {
      begun = SnapshotWriter.begin(store, folder.snapshots(), options, _ -> {});
    }
  }

  /**
   * Waits until the one that was begun is durable.
   *
   * @throws IOException if it cannot be written; nothing is left of it then
   */
  void complete() throws IOException {
    SnapshotJob job = begun;
    begun = null;
    if (job != null) {
      note(await(job));
    }
  }

  private static Path await(SnapshotJob job) throws IOException {
    try {
      return job.await();
    } catch (InterruptedException e) {
      job.close();
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while a snapshot was written");
    }
  }

  private void note(Path snapshot) {
    Optional<String> failure = folder.note(snapshot);
    if (failure.isPresent() && !saidNotNoted) {
      saidNotNoted = true; // once is enough for a run with many snapshots
      say.accept(failure.get());
    }
  }

  /** Completes the one that was begun, if it can: a run that has failed is resumed from it. */
  @Override
  public void close() {
    try {
      complete();
    } catch (IOException e) {
      say.accept(e.getMessage() + " (the snapshot that was being written is lost)");
    }
  }
}
