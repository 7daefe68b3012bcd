package dev.lionstore.measure.workload;

import dev.lionstore.measure.timing.TimedTask;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import java.util.stream.Stream;

/** Threads that share passes over parameters chunk by chunk, as the store's do. */
public final class WorkerThreads implements AutoCloseable {
  /** What a thread takes at once, in parameters. */
  public static final int CHUNK = 65_536;

  private final int threads;
  private final ExecutorService pool;

  public WorkerThreads(int threads) {
    this.threads = threads;
    this.pool = Executors.newFixedThreadPool(threads, Thread.ofPlatform().daemon(true).factory());
  }

  public int threads() {
    return threads;
  }

  /** A pass over parameters 0 to count - 1. */
  public TimedTask.Pass pass(Supplier<? extends Sweep> sweeps, long count) {
    AtomicLong next = new AtomicLong();
    List<Callable<Boolean>> tasks =
        Stream.generate(sweeps)
            .limit(threads)
            .map(sweep ->
                (Callable<Boolean>)
                    () -> {
                      for (long at = next.getAndAdd(CHUNK);
                          at < count;
                          at = next.getAndAdd(CHUNK)) {
                        sweep.run(at, Math.min(count, at + CHUNK));
                      }
                      return true;
                    })
            .toList();
    return () -> {
      next.set(0);
      for (Future<Boolean> done : pool.invokeAll(tasks)) {
        try {
          done.get();
        } catch (ExecutionException e) {
          throw new IllegalStateException(e.getCause());
        }
      }
    };
  }

  @Override
  public void close() {
    pool.close();
  }
}
