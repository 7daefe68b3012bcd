package dev.lionstore.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.atomic.AtomicInteger;
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
                linger();
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

  /** Long enough for the caller to return too early, if it does. */
  private static void linger() {
    for (long end = System.nanoTime() + 100_000; System.nanoTime() < end; ) {
      Thread.onSpinWait();
    }
  }
}
