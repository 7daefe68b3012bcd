package dev.lionstore.measure.bench;

import dev.lionstore.kernel.Kernels;
import dev.lionstore.opencl.DeviceReport;
import dev.lionstore.opencl.Verdict;
import dev.lionstore.opencl.driver.Device;
import dev.lionstore.opencl.driver.Devices;
import dev.lionstore.rule.UpdateRules;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What steps.
 *
 * @param backend as a store is told
 * @param name for people
 * @param device if it is one
 */
record BenchBackend(String backend, String name, Optional<Device> device) {
  private static final String OPENCL = "opencl";
  private static final String SCALAR = "scalar";
  private static final List<String> CPU = List.of(SCALAR, "vector");

  /** The scalar reference waits for no memory, and takes twenty times as long as the others. */
  private static final int SCALAR_PART = 8;

  /**
   * What there is to measure, and what is left out.
   *
   * @param backends in the order of the table
   * @param leftOut why another one is not among them, a sentence each
   */
  record Choice(List<BenchBackend> backends, List<String> leftOut) {}

  /** How many of the first parameters it steps. */
  long stepped(long parameters) {
    return backend.equals(SCALAR) ? Math.ceilDiv(parameters, SCALAR_PART) : parameters;
  }

  /** Everything that computes the reference's bits in the host's memory. */
  static Choice all() {
    List<BenchBackend> backends = new ArrayList<>();
    List<String> leftOut = new ArrayList<>();
    for (String name : CPU) {
      try {
        backends.add(ofCpu(name));
      } catch (IllegalArgumentException e) {
        leftOut.add(name + ": " + e.getMessage());
      }
    }
    for (DeviceReport report : DeviceReport.all(UpdateRules.LION)) {
      Optional<String> obstacle = obstacle(report);
      if (obstacle.isEmpty()) {
        backends.add(of(report.device()));
      } else {
        leftOut.add(of(report.device()).backend() + ", " + report.device() + ": " + obstacle.get());
      }
    }
    return new Choice(backends, leftOut);
  }

  /**
   * The backend that a user names.
   *
   * @throws IllegalArgumentException if it is not here, or cannot be measured
   */
  static BenchBackend named(String name) {
    if (CPU.contains(name)) {
      return ofCpu(name);
    }
    int colon = name.indexOf(':');
    Device device = Devices.named(colon < 0 ? "" : name.substring(colon + 1));
    Optional<String> obstacle = obstacle(DeviceReport.of(device, UpdateRules.LION));
    if (obstacle.isPresent()) {
      throw new IllegalArgumentException(name + " is " + device + ", which " + obstacle.get());
    }
    return of(device);
  }

  private static BenchBackend ofCpu(String name) {
    return new BenchBackend(
        name, Kernels.select(name, UpdateRules.LION).reason(), Optional.empty());
  }

  private static BenchBackend of(Device device) {
    return new BenchBackend(
        OPENCL + ":" + device.index(), device.identity().name(), Optional.of(device));
  }

  private static Optional<String> obstacle(DeviceReport report) {
    if (!report.device().sharesMemory()) {
      return Optional.of("has memory of its own; tools/bin/benchmark device measures it");
    }
    if (report.verdict().isEmpty()) {
      return Optional.of("could not be tested: " + report.failure());
    }
    return report
        .verdict()
        .filter(verdict -> !verdict.conforms())
        .map(Verdict::toString)
        .map(faults -> "computes other bits than the reference: " + faults);
  }
}
