package dev.lionstore.measure.bench;

import java.util.List;

/**
 * What a {@link Bench} found. Its components are the keys of the JSON, which programs rely on.
 *
 * @param machine what it ran on
 * @param parameters that were stepped; by the scalar reference an eighth of them
 * @param threads that stepped, on the CPU
 * @param roof what the memory moves when nothing is computed
 * @param operationsPerSecond the most that a kernel reached on values in the cores' caches
 * @param steps each backend's kernel and store, with each rounding
 * @param leftOut what was not measured, and why
 */
public record BenchResult(
    Machine machine,
    long parameters,
    int threads,
    Roof roof,
    double operationsPerSecond,
    List<Step> steps,
    List<String> leftOut) {
  /**
   * Where it ran.
   *
   * @param cpu model name
   * @param cores that the JVM may use
   * @param jdk version
   * @param directory where the planes lay
   * @param fileSystem of the directory
   */
  public record Machine(String cpu, int cores, String jdk, String directory, String fileSystem) {}

  /**
   * The roof.
   *
   * @param loop the best of the loops
   * @param bytesPerSecond of it, read and written
   */
  public record Roof(String loop, double bytesPerSecond) {}

  /** Of what is measured, how much. */
  public enum Extent {
    /** The arithmetic alone. */
    KERNEL,
    /** A store's whole transaction, with undo and a bf16 gradient plane. */
    STORE;

    /** As tables and JSON have it. */
    public String word() {
      return this == KERNEL ? "kernel" : "store";
    }
  }

  /**
   * A row of the table.
   *
   * @param backend what stepped
   * @param backendName for people
   * @param what {@link Extent#word}
   * @param rounding {@code nearest} or {@code stochastic}
   * @param share of the roof: the median of the pairs
   * @param shareLow a tenth of the pairs were below
   * @param shareHigh a tenth of the pairs were above
   * @param bytesPerSecond that it needs to move, not what it may move besides
   * @param parametersPerSecond in the median
   * @param roofBytesPerSecond of the roof in the same pairs
   * @param operationsPerByte of the rule
   * @param pairs that were measured
   */
  public record Step(
      String backend,
      String backendName,
      String what,
      String rounding,
      double share,
      double shareLow,
      double shareHigh,
      double bytesPerSecond,
      double parametersPerSecond,
      double roofBytesPerSecond,
      double operationsPerByte,
      int pairs) {}
}
