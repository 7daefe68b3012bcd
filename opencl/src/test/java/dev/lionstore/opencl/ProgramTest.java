package dev.lionstore.opencl;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.opencl.driver.Context;
import dev.lionstore.opencl.driver.Program;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

/** Programs are built while the JVM does its own work. */
class ProgramTest {
  private static final int BUILDS = 4;

  private final AtomicBoolean done = new AtomicBoolean();
  private final AtomicLong sum = new AtomicLong();

  /** PoCL's compiler takes signals for crashes, and would delete its files on every stop. */
  @Test
  void aBuildSurvivesTheSignalsOfTheJvm() {
    try (ExecutorService threads = Executors.newCachedThreadPool()) {
      threads.execute(this::count);
      threads.execute(this::stopAllThreads);
      try (Context context = new Context(Drivers.device(Drivers.POCL))) {
        for (int build = 0; build < BUILDS; build++) {
          Program.Build uncached = new Program.Build(text(build), "-cl-std=CL1.2");
          assertDoesNotThrow(() -> context.program(uncached));
        }
      } finally {
        done.set(true);
      }
    }
    assertTrue(sum.get() != 0);
  }

  private static String text(int build) {
    return "kernel void k%d_%d(global float* x) { x[get_global_id(0)] *= 2.0f; }"
        .formatted(ProcessHandle.current().pid(), build);
  }

  /** A compiled loop is stopped by a SIGSEGV. */
  private void count() {
    while (!done.get()) {
      long of = 1;
      for (int i = 1; i < 100_000_000 && !done.get(); i++) {
        of += of * i + 1;
      }
      sum.set(of);
    }
  }

  private void stopAllThreads() {
    while (!done.get()) {
      sum.addAndGet(Thread.getAllStackTraces().size());
    }
  }
}
