package dev.lionstore.trainer;

import dev.lionstore.checkpoint.Retention;
import dev.lionstore.checkpoint.Snapshot;
import dev.lionstore.checkpoint.SnapshotJob;
import dev.lionstore.checkpoint.SnapshotOptions;
import dev.lionstore.checkpoint.SnapshotWriter;
import dev.lionstore.checkpoint.Verified;
import dev.lionstore.store.StateStore;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** The snapshots of a run, each written while the run goes on. */
public final class RunSnapshots implements AutoCloseable {
  private final RunFolder folder;
  private final SnapshotOptions options;
  private final OptionalInt keep;
  private final Consumer<String> say;
  private final Set<String> said = new HashSet<>();
  private @Nullable FutureTask<List<String>> begun;

  /**
   * How snapshots are taken and kept.
   *
   * @param every steps between them, at least 1
   * @param memoryBytes the most memory that one may take besides the state, in bytes
   * @param keep how many are kept, at least 1; if empty, all
   */
  public record Settings(long every, long memoryBytes, OptionalInt keep) {
    /** Refuses what is out of its bounds. */
    public Settings {
      Require.positive("snapshot interval", every);
      SnapshotOptions.defaults().withMemoryBytes(memoryBytes);
      keep.ifPresent(Retention::requireCount);
    }
  }

  /**
   * None yet.
   *
   * @param settings how they are taken and kept
   * @param say told what the user should read
   */
  RunSnapshots(RunFolder folder, Settings settings, Consumer<String> say) {
    this.folder = folder;
    this.options = SnapshotOptions.defaults().withMemoryBytes(settings.memoryBytes());
    this.keep = settings.keep();
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
      SnapshotJob job = SnapshotWriter.begin(store, folder.snapshots(), options, _ -> {});
      begun = new FutureTask<>(() -> finish(job));
      Thread.ofPlatform().daemon().name("lionstore-snapshots").start(begun);
    }
  }

  /**
   * Waits for the snapshot, notes it and removes older ones if only some are kept; also beside
   * steps, since it may read the snapshot back.
   *
   * @return what the user should read
   */
  private List<String> finish(SnapshotJob job) throws IOException, InterruptedException {
    Path written = job.await();
    List<String> sentences = new ArrayList<>(folder.note(written).stream().toList());
    if (keep.isPresent()) {
      Verified verified = Verified.check(written, _ -> {});
      sentences.addAll(Retention.keep(verified, keep.getAsInt()).leftAlone());
    }
    return sentences;
  }

  /**
   * Waits until the one that was begun is durable.
   *
   * @throws IOException if it cannot be written; nothing is left of it then
   */
  void complete() throws IOException {
    FutureTask<List<String>> finishing = begun;
    begun = null;
    if (finishing == null) {
      return;
    }
    try {
      for (String sentence : finishing.get()) {
        if (said.add(sentence)) { // once is enough for a run with many snapshots
          say.accept(sentence);
        }
      }
    } catch (ExecutionException e) {
      if (e.getCause() instanceof IOException failure) {
        throw failure;
      }
      throw new IllegalStateException(e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while a snapshot was written");
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
