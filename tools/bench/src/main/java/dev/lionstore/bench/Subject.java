package dev.lionstore.bench;

import java.io.IOException;

/**
 * What is measured.
 *
 * @param name for the table
 * @param prepare what comes before each pass, not measured
 * @param pass one pass over all parameters
 */
public record Subject(String name, Pass prepare, Pass pass) {
  /** Something that touches every parameter once. */
  public interface Pass {
    /** Does it. */
    void run() throws IOException, InterruptedException;
  }

  public static Subject of(String name, Pass pass) {
    return new Subject(name, () -> {}, pass);
  }

  /** The time of one pass, in nanoseconds. */
  public long nanos() throws IOException, InterruptedException {
    prepare.run();
    long start = System.nanoTime();
    pass.run();
    return System.nanoTime() - start;
  }
}
