package dev.lionstore.store.step;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Threads that wait for the next piece of parallel work; the caller is worker 0. A round wakes as
 * many as it has work for. Starting a round allocates nothing. Not thread-safe: one caller at a
 * time.
 */
public final class WorkerCrew implements AutoCloseable {
  /** A thread that ends soon is awaited without sleep: to be woken takes longer. */
  private static final long SPIN_NANOS = 100_000;

  private static final int WOKEN_BITS = 16;

  private static final long MOST_WOKEN = (1L << WOKEN_BITS) - 1;

  private final List<Thread> threads = new ArrayList<>();
  private final AtomicInteger working = new AtomicInteger();
  private volatile Task task = worker -> {};

  /** The number of the last round, and below it, in as many bits, how many threads it has woken. */
  private final AtomicLong round = new AtomicLong();

  private volatile boolean closed;
  private volatile @Nullable Thread caller;
  private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();

  /** What each worker does in a round. */
  public interface Task {
    /**
     * Does one worker's share.
     *
     * @param worker 0 to the number of workers - 1
     */
    void run(int worker);
  }

  @SuppressWarnings("this-escape") // ends the threads it has started if another cannot be
  public WorkerCrew(int workers) {
    try {
      for (int worker = 1; worker < workers; worker++) {
        int index = worker;
        Thread thread = new Thread(() -> serve(index), "lionstore-step-" + worker);
        thread.setDaemon(true);
        thread.start();
        threads.add(thread);
      }
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  public int workers() {
    return threads.size() + 1;
  }

  /** The threads that work beside the caller's. */
  public List<Thread> threads() {
    return threads;
  }

  /** Whether the other threads may read all of some memory. */
  public boolean mayRead(Stream<MemorySegment> memory) {
    return memory.allMatch(segment -> threads.stream().allMatch(segment::isAccessibleBy));
  }

  /** Runs the task on every worker and returns when all have ended; rethrows what one threw. */
  public void run(Task next) {
    run(next, workers());
  }

  /** The same with the first of them, at least the caller. */
  public void run(Task next, int most) {
    if (closed) {
      throw new IllegalStateException("the store is closed");
    }
    int woken = Math.clamp(most - 1L, 0, threads.size());
    failure.set(null);
    caller = Thread.currentThread();
    task = next;
    working.set(woken);
    round.set((((round.get() >>> WOKEN_BITS) + 1) << WOKEN_BITS) | woken);
    for (int i = 0; i < woken; i++) {
      LockSupport.unpark(threads.get(i));
    }
    runGuarded(0);
    awaitOthers();
    rethrow(failure.get());
  }

  private void awaitOthers() {
    long spun = System.nanoTime();
    while (working.get() > 0 && System.nanoTime() - spun < SPIN_NANOS) {
      Thread.onSpinWait();
    }
    boolean interrupted = false;
    while (working.get() > 0) {
      LockSupport.park(this);
      interrupted |= Thread.interrupted(); // it would not park again
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void serve(int worker) {
    for (long served = 0; ; ) {
      long now;
      while ((now = round.get()) == served && !closed) {
        LockSupport.park(this);
      }
      if (closed) {
        return;
      }
      served = now;
      if (worker <= (now & MOST_WOKEN)) {
        runGuarded(worker);
        if (working.decrementAndGet() == 0) {
          LockSupport.unpark(caller);
        }
      }
    }
  }

  private void runGuarded(int worker) {
    try {
      task.run(worker);
    } catch (Throwable e) {
      failure.compareAndSet(null, e);
    }
  }

  /** Throws what a task threw, if it threw anything. */
  public static void rethrow(@Nullable Throwable failure) {
    switch (failure) {
      case null -> {}
      case Error e -> throw e;
      case RuntimeException e -> throw e;
      default -> throw new IllegalStateException(failure);
    }
  }

  @Override
  public void close() {
    closed = true;
    for (Thread thread : threads) {
      LockSupport.unpark(thread);
    }
    boolean interrupted = false;
    for (Thread thread : threads) {
      while (thread.isAlive()) {
        try {
          thread.join();
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
