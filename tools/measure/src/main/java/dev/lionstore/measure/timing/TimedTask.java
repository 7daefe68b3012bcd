package dev.lionstore.measure.timing;

import java.io.IOException;

/**
 * What is measured.
 *
 * @param name for the table
 * @param prepare what comes before each pass, not measured
 * @param pass one pass over all parameters
 */
public record TimedTask(String name, Pass prepare, Pass pass) {
  /** Something that touches every parameter once. */
  public interface Pass {
    /** Does it. */
    void run() throws IOException, InterruptedException;
  }

  public static TimedTask of(String name, Pass pass) {
    return new TimedTask(name, () -> {}, pass);
  }

  /** The time of one pass, in nanoseconds. */
  public long nanos() throws IOException, InterruptedException {
    prepare.run();
    long start = System.nanoTime();
    pass.run();
    return System.nanoTime() - start;
  }
}
