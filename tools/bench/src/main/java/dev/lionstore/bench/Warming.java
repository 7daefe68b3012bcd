package dev.lionstore.bench;

import java.io.IOException;
import java.time.Duration;
import java.util.List;

/** Passes before those that count: compilers, drivers and clocks take their time. */
public final class Warming {
  private static final int PASSES = 3;

  private Warming() {}

  public static void up(Duration least, List<Subject> subjects)
      throws IOException, InterruptedException {
    long end = System.nanoTime() + least.toNanos();
    for (int i = 0; i < PASSES || System.nanoTime() - end < 0; i++) {
      for (Subject subject : subjects) {
        subject.nanos();
      }
    }
  }
}
