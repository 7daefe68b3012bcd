package dev.lionstore.store.step;

import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Semaphore;
import org.jspecify.annotations.Nullable;

/**
 * The slots of the progress that runs of chunks have from when they are saved until they are
 * stamped: fewer than there are threads, since one that only reads needs none. Thread-safe.
 */
public final class RunSlots {
  private final int runs;
  private final int slotsOfRun;
  private final Queue<Integer> free = new ConcurrentLinkedQueue<>();
  private final Semaphore permits;
  private volatile @Nullable Throwable failure;

  /**
   * All of them are free.
   *
   * @param runs that can have slots at the same time
   * @param slotsOfRun how many chunks a run has at most
   */
  public RunSlots(int runs, int slotsOfRun) {
    this.runs = runs;
    this.slotsOfRun = slotsOfRun;
    this.permits = new Semaphore(runs);
    for (int run = 0; run < runs; run++) {
      free.add(run * slotsOfRun);
    }
  }

  /** How many there are, for all runs. */
  public int count() {
    return runs * slotsOfRun;
  }

  /** How many a run has. */
  public int ofRun() {
    return slotsOfRun;
  }

  /**
   * Waits until a run can have slots; gives the first one's index. Throws what another run failed
   * with: there may never be slots again.
   */
  public int take() {
    permits.acquireUninterruptibly();
    if (failure != null) {
      permits.release(); // for the next one that waits
      WorkerCrew.rethrow(failure);
    }
    return free.remove();
  }

  /** Takes slots back; every chunk of the run is stamped. */
  public void giveBack(int firstSlot) {
    free.add(firstSlot);
    permits.release();
  }

  /** Ends all waiting: a run that keeps its slots, for recovery, has failed. */
  public void fail(Throwable e) {
    failure = e;
    permits.release();
  }
}
