package dev.lionstore.checkpoint;

import dev.lionstore.store.StateStore;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;

/**
 * A snapshot that is taken in the background while its store goes on stepping. It holds the state
 * of the step at which it was begun. Safe for several threads.
 *
 * <p>A step that comes to values which have not been copied copies them, or, when the memory that
 * the snapshot may take is used up, waits until the disk has taken some. Whatever happens to the
 * snapshot, a full disk included, steps go on.
 */
public final class SnapshotJob implements AutoCloseable {
  private final SnapshotTask task;
  private final FutureTask<Path> result;

  SnapshotJob(StateStore store, SnapshotTask task, CarriedContent carried) {
    this.task = task;
    this.result =
        new FutureTask<>(() -> {
          try (carried;
              task) {
            return task.run();
          } finally {
            store.endCopy(task.copy());
          }
        });
    Thread.ofPlatform().daemon().name("lionstore-snapshot").start(result);
  }

  /** Whether it has ended, well or not. */
  public boolean isDone() {
    return result.isDone();
  }

  /**
   * Waits for its end.
   *
   * @return the snapshot's folder, which is durable
   * @throws IOException if it could not be written; nothing is left of it then
   * @throws CancellationException if it was cancelled
   * @throws IllegalStateException if the store was closed before everything was copied
   * @throws InterruptedException if the caller is interrupted; the snapshot goes on
   */
  public Path await() throws IOException, InterruptedException {
    try {
      return result.get();
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case IOException cause -> throw cause;
        case CancellationException cause -> throw cause;
        case Error cause -> throw cause;
        case null, default -> throw new IllegalStateException(e.getCause());
      }
    }
  }

  /** Gives it up unless it is done; what was written is removed soon after. */
  public void cancel() {
    task.copy().fail(new CancellationException("the snapshot was cancelled"));
  }

  /** Cancels it if it is not done, and waits until nothing is left of it. */
  @Override
  public void close() {
    cancel();
    boolean interrupted = false;
    while (!result.isDone()) {
      try {
        result.get();
      } catch (InterruptedException e) {
        interrupted = true;
      } catch (ExecutionException e) {
        break; // told to whoever awaits it
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
