package dev.lionstore.benchmarks;

import java.io.IOException;

/**
 * What is measured.
 *
 * @param name for the table
 * @param prepare what comes before each pass, not measured
 * @param pass one pass over all parameters
 */
record Subject(String name, Pass prepare, Pass pass) {
  /** Something that touches every parameter once. */
  interface Pass {
    /** Does it. */
    void run() throws IOException, InterruptedException;
  }

  static Subject of(String name, Pass pass) {
    return new Subject(name, () -> {}, pass);
  }

  /** The time of one pass, in nanoseconds. */
  long nanos() throws IOException, InterruptedException {
    prepare.run();
    long start = System.nanoTime();
    pass.run();
    return System.nanoTime() - start;
  }
}
