package dev.lionstore.benchmarks;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.bench.Planes;
import dev.lionstore.bench.Subject;
import dev.lionstore.bench.Warming;
import dev.lionstore.kernel.DeviceException;
import dev.lionstore.opencl.Device;
import dev.lionstore.opencl.DeviceReport;
import dev.lionstore.opencl.DeviceStep;
import dev.lionstore.opencl.Devices;
import dev.lionstore.rule.Lion;
import java.io.IOException;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import joptsimple.OptionException;

/**
 * Measures an OpenCL device in one run: its memory and its bus, the step in each way to the state
 * as a share of them, whether the bits are the CPU's, and PyTorch's optimizers on the same GPU.
 */
public final class DeviceBenchmark {
  /** What a pass takes at least if it can be repeated: a launch takes up to 0.02 of that. */
  private static final long PASS_NANOS = 20_000_000;

  private static final int MOST_REPEATS = 64;

  private final DeviceBenchmarkOptions options;
  private final Device device;
  private final Planes planes;
  private final DeviceBits bits;

  private DeviceBenchmark(DeviceBenchmarkOptions options, Device device, Planes planes) {
    this.options = options;
    this.device = device;
    this.planes = planes;
    this.bits = new DeviceBits(options.directory(), planes);
  }

  /** The command line; see {@code --help}. */
  public static void main(String[] arguments) throws InterruptedException {
    System.exit(run(System.out, System.err, arguments));
  }

  /** Gives the exit code: 1 for other bits or a failure, 2 for wrong options. */
  static int run(PrintStream out, PrintStream err, String... arguments)
      throws InterruptedException {
    Optional<DeviceBenchmarkOptions> options;
    try {
      options = DeviceBenchmarkOptions.parse(out, arguments);
    } catch (OptionException | IllegalArgumentException | IOException e) {
      err.println("benchmark: " + e.getMessage());
      return 2;
    }
    if (options.isEmpty()) {
      return 0;
    }
    try {
      DeviceFigures figures = measure(options.get());
      out.print(figures.print(options.get().format()));
      return figures.bits().stream().allMatch(DeviceBits.Result::equal) ? 0 : 1;
    } catch (IllegalArgumentException | DeviceException e) {
      err.println("benchmark: " + e.getMessage());
    } catch (IOException e) {
      err.println("benchmark: " + e);
    }
    return 1;
  }

  private static DeviceFigures measure(DeviceBenchmarkOptions options)
      throws IOException, InterruptedException {
    Device device = Devices.named(options.device());
    DeviceReport report = DeviceReport.of(device, Lion.RULE);
    if (report.verdict().isEmpty()) {
      throw new DeviceException(report.failure());
    }
    DeviceFigures figures = DeviceFigures.begun(options, report);
    try (Planes planes = Planes.anonymous(options.parameters(), ElementType.BF16)) {
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
    Subject copy = roofs.copy(1);
    Warming.up(options.warmUp(), List.of(copy));
    return Math.clamp(Math.ceilDiv(PASS_NANOS, copy.nanos()), 1, MOST_REPEATS);
  }

  /** The kernel alone; first its bits, then its time. */
  private List<DeviceShare> kernel(DeviceBandwidths roofs, List<DeviceBits.Result> results)
      throws IOException, InterruptedException {
    int repeats = repeats(roofs);
    List<DeviceShare> shares = new ArrayList<>();
    try (DeviceStep step = new DeviceStep(device, Lion.RULE, planes.step(Rounding.NEAREST))) {
      results.add(bits.ofKernel(step));
      for (Rounding rounding : Rounding.values()) {
        Subject subject =
            Subject.of(
                "kernel, all in its memory, " + RoofBenchmark.word(rounding),
                () -> step.run(planes.step(rounding), repeats));
        Warming.up(options.warmUp(), List.of(subject));
        shares.add(
            DeviceShare.measure(
                "kernel_" + RoofBenchmark.word(rounding),
                roofs.copy(repeats),
                subject,
                new DeviceShare.Size(
                    DeviceBandwidths.STEP_BYTES, planes.count() * repeats, options.pairs())));
      }
    }
    return shares;
  }
}
