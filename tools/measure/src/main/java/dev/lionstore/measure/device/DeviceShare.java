package dev.lionstore.measure.device;

import dev.lionstore.measure.timing.PairedTimes;
import dev.lionstore.measure.timing.TimedTask;
import java.io.IOException;

/**
 * A step's time beside that of moving the bytes that it cannot do without.
 *
 * @param key for programs
 * @param roof what moves them
 * @param size of a pass
 * @param comparison of the two
 */
record DeviceShare(String key, String roof, Size size, PairedTimes comparison) {
  /**
   * How much a pass is.
   *
   * @param bytesPerParameter that the roof moves
   * @param parameters of a pass
   * @param pairs of passes
   */
  record Size(int bytesPerParameter, long parameters, int pairs) {}

  static DeviceShare measure(String key, TimedTask roof, TimedTask task, Size size)
      throws IOException, InterruptedException {
    return new DeviceShare(key, roof.name(), size, PairedTimes.measure(roof, task, size.pairs()));
  }

  /** The step's, in the bytes that count. */
  double bytesPerSecond() {
    return bytesPerSecond(comparison.medianNanos());
  }

  double roofBytesPerSecond() {
    return bytesPerSecond(comparison.medianRoofNanos());
  }

  double parametersPerSecond() {
    return bytesPerSecond() / size.bytesPerParameter();
  }

  private double bytesPerSecond(long nanos) {
    return 1e9 * size.bytesPerParameter() * size.parameters() / nanos;
  }
}
