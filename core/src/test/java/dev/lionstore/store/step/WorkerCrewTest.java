package dev.lionstore.store.step;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;

class WorkerCrewTest {
  private static final int WORKERS = 4;

  @RepeatedTest(20)
  void everyWorkerEndsBeforeWhatOneThrewIsThrown() {
    AtomicInteger ended = new AtomicInteger();
    try (WorkerCrew crew = new WorkerCrew(WORKERS)) {
      assertThrows(
          ArithmeticException.class,
          () ->
              crew.run(worker -> {
                if (worker == 1) {
                  throw new ArithmeticException();
                }
                linger(worker * 100_000L); // also longer than the caller looks before it sleeps
                ended.incrementAndGet();
              }));
      assertEquals(WORKERS - 1, ended.get());
      crew.run(worker -> ended.incrementAndGet());
      assertEquals(2 * WORKERS - 1, ended.get());
    }
  }

  @Test
  void anInterruptedCallerWaitsAndStaysInterrupted() {
    AtomicInteger ended = new AtomicInteger();
    try (WorkerCrew crew = new WorkerCrew(WORKERS)) {
      Thread.currentThread().interrupt();
      crew.run(worker -> ended.incrementAndGet());
      assertTrue(Thread.interrupted());
      assertEquals(WORKERS, ended.get());
    }
  }

  /** Those that one round leaves out join the next; none runs a round twice. */
  @Test
  void aRoundTakesTheFirstWorkersItWasGiven() {
    try (WorkerCrew crew = new WorkerCrew(WORKERS)) {
      AtomicIntegerArray runs = new AtomicIntegerArray(WORKERS);
      int[] expected = new int[WORKERS];
      for (int round = 0; round < 20_000; round++) {
        int most = round * 7 % (WORKERS + 2);
        crew.run(runs::incrementAndGet, most);
        for (int worker = 0; worker < Math.clamp(most, 1, WORKERS); worker++) {
          expected[worker]++;
        }
        assertEquals(Arrays.toString(expected), runs.toString(), "after round " + round);
      }
    }
  }

  /** Long enough for the caller to return too early, if it does. */
  private static void linger(long nanos) {
    for (long end = System.nanoTime() + nanos; System.nanoTime() < end; ) {
      Thread.onSpinWait();
    }
  }
}
