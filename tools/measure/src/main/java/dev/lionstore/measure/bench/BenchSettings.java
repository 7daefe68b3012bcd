package dev.lionstore.measure.bench;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * What a {@link Bench} measures.
 *
 * @param parameters of the tensor that is stepped
 * @param directory where its planes and stores lie; empty: in memory if there is room, else where
 *     temporary files are
 * @param threads that step, on the CPU
 * @param pairs of passes per figure; empty: as many as a few seconds allow
 * @param backends what steps; empty: everything that is here
 */
public record BenchSettings(
    long parameters,
    Optional<Path> directory,
    int threads,
    OptionalInt pairs,
    List<String> backends) {
  /** Offsets of 2-byte elements stay far from overflow. */
  private static final long MOST_PARAMETERS = 1L << 40;

  /**
   * Checks the numbers.
   *
   * @throws IllegalArgumentException if one is out of its bounds
   */
  public BenchSettings {
    requireWithin("parameters", parameters, MOST_PARAMETERS);
    requireWithin("threads", threads, 128);
    if (pairs.isPresent()) {
      requireWithin("pairs", pairs.getAsInt(), 1_000_000);
    }
    backends = List.copyOf(backends);
    for (String backend : backends) {
      if (!backend.matches("scalar|vector|opencl(:.*)?")) {
        throw new IllegalArgumentException(
            "backend is " + backend + ", expected scalar, vector, opencl or opencl:DEVICE");
      }
    }
  }

  private static void requireWithin(String name, long value, long most) {
    if (value < 1 || value > most) {
      throw new IllegalArgumentException(
          name + " is " + value + ", expected a whole number from 1 to " + most);
    }
  }
}
