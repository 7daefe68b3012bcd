package dev.lionstore.trainer;

import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Threads that compute the shards of a batch; daemons, so that they never keep a process alive. */
final class ShardWorkers implements AutoCloseable {
  private final ExecutorService pool;

  ShardWorkers(int threads) {
    this.pool =
        Executors.newFixedThreadPool(
            threads, Thread.ofPlatform().daemon().name("shard-", 0).factory());
  }

  <T> List<Future<T>> start(List<Callable<T>> shards) {
    return shards.stream().map(pool::submit).toList();
  }

  /** Waits for one shard; what it threw is thrown here, on the caller's stack. */
  static <T> T await(Future<T> shard) {
    try {
      return shard.get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while a batch was computed", e);
    } catch (ExecutionException e) {
      throw new IllegalStateException("libtorch failed: " + e.getMessage(), e);
    }
  }

  @Override
  public void close() {
    pool.close();
  }
}
