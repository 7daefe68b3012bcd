package dev.lionstore.measure.device;

import dev.lionstore.measure.timing.TimedTask;
import dev.lionstore.measure.timing.Warming;
import dev.lionstore.opencl.driver.Device;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** What a device's memory and its bus can do, as passes that move a step's bytes. */
final class DeviceBandwidths implements AutoCloseable {
  /** Of a step in one memory: four bf16 streams read, three written. */
  static final int STEP_BYTES = 14;

  /** Of a gradient, which goes to a device that keeps the state. */
  static final int GRADIENT_BYTES = 2;

  /** What goes to a device that keeps nothing: gradient, weights, remainder, momentum. */
  static final int UP_BYTES = 8;

  /** What comes back from there. */
  static final int DOWN_BYTES = 6;

  private static final long MOST_BUFFER_BYTES = 1L << 29;

  private final DeviceTransfers bandwidth;
  private final DeviceBenchmarkOptions options;
  private final long parameters;

  /** Ways of the bus. */
  enum Direction {
    UP,
    DOWN
  }

  /**
   * One bandwidth.
   *
   * @param key for programs
   * @param what it is of
   * @param bytes of a pass
   * @param nanos of the passes, ascending
   */
  record Result(String key, String what, long bytes, long[] nanos) {
    /** What a fraction of the passes stayed below, in bytes per second. */
    double bytesPerSecond(double fraction) {
      return 1e9 * bytes / nanos[(int) Math.round((1 - fraction) * (nanos.length - 1))];
    }
  }

  DeviceBandwidths(Device device, DeviceBenchmarkOptions options) {
    this.options = options;
    this.parameters = options.parameters();
    this.bandwidth =
        new DeviceTransfers(device, Math.min(MOST_BUFFER_BYTES, parameters * STEP_BYTES / 2));
  }

  /** The bytes of so many steps, within the device. */
  TimedTask copy(int steps) {
    return TimedTask.of("device, copy", () -> bandwidth.copy(parameters * STEP_BYTES * steps));
  }

  TimedTask up(int bytesPerParameter) {
    return TimedTask.of("bus, up", () -> bandwidth.up(parameters * bytesPerParameter));
  }

  TimedTask down(int bytesPerParameter) {
    return TimedTask.of("bus, down", () -> bandwidth.down(parameters * bytesPerParameter));
  }

  private TimedTask both() {
    return TimedTask.of(
        "bus, both at once, sum",
        () -> bandwidth.upAndDown(parameters * UP_BYTES, parameters * UP_BYTES));
  }

  /** Measures all of them in turn. */
  List<Result> measure(int steps) throws IOException, InterruptedException {
    List<TimedTask> tasks = List.of(copy(steps), up(UP_BYTES), down(UP_BYTES), both());
    Warming.up(options.warmUp(), tasks);
    long[][] nanos = new long[tasks.size()][options.pairs()];
    for (int pass = 0; pass < options.pairs(); pass++) {
      for (int s = 0; s < nanos.length; s++) {
        nanos[s][pass] = tasks.get(s).nanos();
      }
    }
    String[] keys = {"copy", "bus_up", "bus_down", "bus_both"};
    long[] bytes = {(long) STEP_BYTES * steps, UP_BYTES, UP_BYTES, 2 * UP_BYTES};
    List<Result> results = new ArrayList<>();
    for (int s = 0; s < nanos.length; s++) {
      Arrays.sort(nanos[s]);
      results.add(new Result(keys[s], tasks.get(s).name(), parameters * bytes[s], nanos[s]));
    }
    return results;
  }

  /** The direction that a streaming step takes longer for. */
  static Direction slower(List<Result> results) {
    double up = UP_BYTES / results.get(1).bytesPerSecond(0.5);
    double down = DOWN_BYTES / results.get(2).bytesPerSecond(0.5);
    return up >= down ? Direction.UP : Direction.DOWN;
  }

  @Override
  public void close() {
    bandwidth.close();
  }
}
