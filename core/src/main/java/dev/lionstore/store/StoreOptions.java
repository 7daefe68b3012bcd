package dev.lionstore.store;

import dev.lionstore.kernel.Kernels;

/**
 * How a writer works on a store; none of it changes a bit of the result.
 *
 * @param backend which kernel steps, or {@link Kernels#AUTO}
 * @param threads how many threads step, 1 to {@value #MAX_THREADS}
 */
public record StoreOptions(String backend, int threads) {
  /** The most threads that can step. */
  public static final int MAX_THREADS = ProgressFile.WORKERS;

  /** Validates. */
  public StoreOptions {
    if (threads < 1 || threads > MAX_THREADS) {
      throw new IllegalArgumentException(
          "threads is " + threads + ", expected 1 to " + MAX_THREADS);
    }
  }

  /** The best kernel on every core. */
  public static StoreOptions defaults() {
    return new StoreOptions(
        Kernels.AUTO, Math.clamp(Runtime.getRuntime().availableProcessors(), 1, MAX_THREADS));
  }

  /** The same with another kernel. */
  public StoreOptions withBackend(String newBackend) {
    return new StoreOptions(newBackend, threads);
  }

  /** The same with another number of threads. */
  public StoreOptions withThreads(int newThreads) {
    return new StoreOptions(backend, newThreads);
  }
}
