package dev.lionstore.measure.device;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.DeviceException;
import dev.lionstore.measure.report.Labels;
import dev.lionstore.measure.timing.TimedTask;
import dev.lionstore.measure.timing.Warming;
import dev.lionstore.measure.workload.TensorPlanes;
import dev.lionstore.opencl.DeviceReport;
import dev.lionstore.opencl.driver.Device;
import dev.lionstore.opencl.driver.Devices;
import dev.lionstore.rule.UpdateRules;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * Measures an OpenCL device in one run: its memory and its bus, the step in each way to the state
 * as a share of them, whether the bits are the CPU's, and PyTorch's optimizers on the same GPU.
 */
final class DeviceBenchmark {
  /** What a pass takes at least if it can be repeated: a launch takes up to 0.02 of that. */
  private static final long PASS_NANOS = 20_000_000;

  private static final int MOST_REPEATS = 64;

  private final DeviceBenchmarkOptions options;
  private final Device device;
  private final TensorPlanes planes;
  private final DeviceBits bits;

  private DeviceBenchmark(DeviceBenchmarkOptions options, Device device, TensorPlanes planes) {
    this.options = options;
    this.device = device;
    this.planes = planes;
    this.bits = new DeviceBits(options.directory(), planes);
  }

  static DeviceFigures measure(DeviceBenchmarkOptions options)
      throws IOException, InterruptedException {
    Device device = Devices.named(options.device());
    DeviceReport report = DeviceReport.of(device, UpdateRules.LION);
    if (report.verdict().isEmpty()) {
      throw new DeviceException(report.failure());
    }
    DeviceFigures figures = DeviceFigures.begun(options, report);
    try (TensorPlanes planes = TensorPlanes.anonymous(options.parameters(), ElementType.BF16)) {
      figures = new DeviceBenchmark(options, device, planes).run(figures);
    }
    return figures.with(TorchTimes.measure(options, device));
  }

  private DeviceFigures run(DeviceFigures begun) throws IOException, InterruptedException {
    List<DeviceShare> shares = new ArrayList<>();
    List<DeviceBits.Result> results = new ArrayList<>();
    List<DeviceBandwidths.Result> bandwidths;
    DeviceStores stores;
    try (DeviceBandwidths roofs = new DeviceBandwidths(device, options)) {
      bandwidths = roofs.measure(repeats(roofs));
      shares.addAll(kernel(roofs, results));
      stores = new DeviceStores(options, device, planes.gradient(), roofs);
      stores.measure(DeviceBandwidths.slower(bandwidths));
      shares.addAll(stores.shares());
    }
    results.addAll(bits.ofStores(stores.backend(), stores.ways()));
    return begun.with(bandwidths, shares, stores.notes(), results);
  }

  private int repeats(DeviceBandwidths roofs) throws IOException, InterruptedException {
    TimedTask copy = roofs.copy(1);
    Warming.up(options.warmUp(), List.of(copy));
    return Math.clamp(Math.ceilDiv(PASS_NANOS, copy.nanos()), 1, MOST_REPEATS);
  }

  /** The kernel alone; first its bits, then its time. */
  private List<DeviceShare> kernel(DeviceBandwidths roofs, List<DeviceBits.Result> results)
      throws IOException, InterruptedException {
    int repeats = repeats(roofs);
    List<DeviceShare> shares = new ArrayList<>();
    try (DeviceStep step =
        new DeviceStep(device, UpdateRules.LION, planes.step(Rounding.NEAREST))) {
      results.add(bits.ofKernel(step));
      for (Rounding rounding : Rounding.values()) {
        TimedTask task =
            TimedTask.of(
                "kernel, all in its memory, " + Labels.of(rounding),
                () -> step.run(planes.step(rounding), repeats));
        Warming.up(options.warmUp(), List.of(task));
        shares.add(
            DeviceShare.measure(
                "kernel_" + Labels.of(rounding),
                roofs.copy(repeats),
                task,
                new DeviceShare.Size(
                    DeviceBandwidths.STEP_BYTES, planes.count() * repeats, options.pairs())));
      }
    }
    return shares;
  }
}
