package dev.lionstore.python;

import dev.lionstore.checkpoint.Retention;
import dev.lionstore.checkpoint.SnapshotJob;
import dev.lionstore.checkpoint.SnapshotOptions;
import dev.lionstore.checkpoint.SnapshotPointer;
import dev.lionstore.checkpoint.SnapshotWriter;
import dev.lionstore.checkpoint.Verified;
import dev.lionstore.store.StateStore;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;

/** A snapshot that is taken while the store goes on stepping, and the removal of older ones. */
final class BackgroundSnapshot {
  private final FutureTask<String> result;

  private BackgroundSnapshot(FutureTask<String> result) {
    this.result = result;
  }

  /**
   * Begins; what is refused is refused here.
   *
   * @param keep how many are kept in the folder; 0: all
   */
  static BackgroundSnapshot begin(
      StateStore store, Path folder, Map<String, byte[]> extras, int keep) throws IOException {
    SnapshotOptions options = SnapshotOptions.defaults().withExtras(extras);
    Path directory = store.directory();
    SnapshotJob job = SnapshotWriter.begin(store, folder, options, _ -> {});
    FutureTask<String> result = new FutureTask<>(() -> complete(job, directory, keep));
    Thread.ofPlatform().daemon().name("lionstore-snapshot-end").start(result);
    return new BackgroundSnapshot(result);
  }

  private static String complete(SnapshotJob job, Path store, int keep)
      throws IOException, InterruptedException {
    Path written = job.await();
    SnapshotPointer.write(store, written);
    List<String> lines = new ArrayList<>(List.of(written.toString()));
    if (keep > 0) {
      Verified verified = Verified.check(written, _ -> {});
      lines.addAll(Retention.keep(verified, keep).leftAlone());
    }
    return String.join("\n", lines);
  }

  boolean isDone() {
    return result.isDone();
  }

  /** Waits; gives its path, and a line for each snapshot that is left alone though it is old. */
  String await() throws IOException {
    try {
      return result.get();
    } catch (InterruptedException e) {
      throw new InterruptedIOException("interrupted while a snapshot was awaited");
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case IOException cause -> throw cause;
        case RuntimeException cause -> throw cause;
        case null, default -> throw new IllegalStateException(e.getCause());
      }
    }
  }
}
