package dev.lionstore.backend;

import dev.lionstore.kernel.DeviceOptions;
import java.util.Locale;

/**
 * A way to step, and how fast it was.
 *
 * @param backend as the user names it
 * @param memory how a device reaches the state; AUTO for the CPU
 * @param parametersPerSecond of a store's whole step
 */
public record RankedBackend(
    String backend, DeviceOptions.Memory memory, double parametersPerSecond) {
  /** What the CPU's kernel is called. */
  public static final String CPU = "vector";

  static RankedBackend parse(String line) {
    String[] words = line.split(" ", 3);
    return new RankedBackend(
        words[0], DeviceOptions.Memory.valueOf(words[1]), Double.parseDouble(words[2]));
  }

  String line() {
    return backend + " " + memory + " " + parametersPerSecond;
  }

  /** How fast it is, less what it must be faster by. */
  double worth() {
    return memory == DeviceOptions.Memory.STREAMING
        ? parametersPerSecond / BackendRanking.LEAST_GAIN
        : parametersPerSecond;
  }

  @Override
  public String toString() {
    String way =
        switch (memory) {
          case AUTO -> "";
          default -> " " + memory.name().toLowerCase(Locale.ROOT).replace('_', ' ');
        };
    return String.format(
        Locale.ROOT, "%s%s %.2f Gparam/s", backend, way, parametersPerSecond / 1e9);
  }
}
