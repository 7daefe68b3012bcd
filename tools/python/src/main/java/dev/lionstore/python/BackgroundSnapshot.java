package dev.lionstore.python;

import dev.lionstore.checkpoint.CarriedContent;
import dev.lionstore.checkpoint.Retention;
import dev.lionstore.checkpoint.Snapshot;
import dev.lionstore.checkpoint.SnapshotJob;
import dev.lionstore.checkpoint.SnapshotOptions;
import dev.lionstore.checkpoint.SnapshotPointer;
import dev.lionstore.checkpoint.SnapshotWriter;
import dev.lionstore.checkpoint.StandingSnapshot;
import dev.lionstore.checkpoint.Verified;
import dev.lionstore.store.StateStore;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;

/** A snapshot that is taken while the store goes on stepping, and the removal of older ones. */
final class BackgroundSnapshot {
  private final FutureTask<String> result;

  private BackgroundSnapshot(FutureTask<String> result) {
    this.result = result;
  }

  /**
   * Begins; what is refused is refused here. A snapshot of this step that stands already is read,
   * and will do if it is whole and holds the same.
   *
   * @param keep how many are kept in the folder; 0: all
   * @throws FileAlreadyExistsException if one stands there that does not
   */
  static BackgroundSnapshot begin(
      StateStore store, Path folder, Map<String, byte[]> extras, int keep) throws IOException {
    Path place = SnapshotWriter.path(folder, store.step());
    return Snapshot.isSnapshot(place)
        ? standing(store, place, extras, keep)
        : written(store, folder, extras, keep);
  }

  private static BackgroundSnapshot standing(
      StateStore store, Path place, Map<String, byte[]> extras, int keep) throws IOException {
    try (CarriedContent carried = CarriedContent.ofStore(store)) {
      StandingSnapshot.requireEqual(
          place, store, carried, extras, (_, check) -> check.run(_ -> {}));
    }
    return ending(store, keep, () -> place);
  }

  private static BackgroundSnapshot written(
      StateStore store, Path folder, Map<String, byte[]> extras, int keep) throws IOException {
    SnapshotOptions options = SnapshotOptions.defaults().withExtras(extras);
    SnapshotJob job = SnapshotWriter.begin(store, folder, options, _ -> {});
    return ending(store, keep, job::await);
  }

  private static BackgroundSnapshot ending(StateStore store, int keep, Callable<Path> snapshot) {
    Path directory = store.directory();
    FutureTask<String> result = new FutureTask<>(() -> complete(snapshot.call(), directory, keep));
    Thread.ofPlatform().daemon().name("lionstore-snapshot-end").start(result);
    return new BackgroundSnapshot(result);
  }

  private static String complete(Path written, Path store, int keep) throws IOException {
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
