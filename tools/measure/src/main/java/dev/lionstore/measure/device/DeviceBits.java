package dev.lionstore.measure.device;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.DeviceOptions.Memory;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.measure.report.Labels;
import dev.lionstore.measure.workload.BenchmarkStore;
import dev.lionstore.measure.workload.Sweep;
import dev.lionstore.measure.workload.TensorPlanes;
import dev.lionstore.measure.workload.WorkerThreads;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.store.StoreOptions;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Whether a device leaves the bytes that the CPU's kernel leaves after the same steps. */
final class DeviceBits {
  /** Of each rounding. */
  private static final int STEPS = 2;

  /** So that a tensor's end is not a work-item's, and gradients differ from step to step. */
  private static final int SHIFT = 13;

  private final Path directory;
  private final TensorPlanes planes;
  private final String cpu = Kernels.ofCpu(UpdateRules.LION).backend();

  /**
   * Of one way.
   *
   * @param key for programs
   * @param what was stepped, how often, and beside what
   * @param equal whether every byte is
   */
  record Result(String key, String what, boolean equal) {}

  DeviceBits(Path directory, TensorPlanes planes) {
    this.directory = directory;
    this.planes = planes;
  }

  /** Of the kernel alone; what it leaves is in the planes afterwards. */
  Result ofKernel(DeviceStep device) throws IOException, InterruptedException {
    try (WorkerThreads workers = new WorkerThreads(StoreOptions.defaults().threads());
        TensorPlanes expected = TensorPlanes.anonymous(planes.count(), ElementType.BF16)) {
      Kernel kernel = Kernels.select(cpu, UpdateRules.LION).kernel();
      for (Rounding rounding : Rounding.values()) {
        device.run(planes.step(rounding), 1);
        workers.pass(Sweep.of(kernel, expected, rounding), expected.count()).run();
      }
      TensorStep found = planes.step(Rounding.NEAREST);
      device.store(found);
      return new Result(
          "kernel",
          "kernel, 1 step of each rounding, beside " + cpu,
          equal(found.planes(), expected.state()));
    }
  }

  /** Of stores. */
  List<Result> ofStores(String backend, List<Memory> ways) throws IOException {
    List<Result> results = new ArrayList<>();
    try (BenchmarkStore expected = stepped(StoreOptions.defaults().withBackend(cpu))) {
      for (Memory way : ways) {
        try (BenchmarkStore found = stepped(DeviceStores.storeOptions(backend, way))) {
          DeviceStores.requireKept(way, found);
          String word = Labels.of(way);
          results.add(
              new Result(
                  "store_" + word.replace(' ', '_'),
                  "store, " + word + ", " + STEPS + " steps of each rounding, beside " + cpu,
                  equal(found.state(), expected.state())));
        }
      }
    }
    return results;
  }

  private BenchmarkStore stepped(StoreOptions options) throws IOException {
    long count = planes.count() - SHIFT;
    BenchmarkStore store = BenchmarkStore.create(directory, count, GradientPlane.NONE, options);
    try {
      for (int step = 0; step < STEPS; step++) {
        for (Rounding rounding : Rounding.values()) {
          store.putGradient(gradient(step % 2L * SHIFT, count));
          store.step(rounding);
        }
      }
      return store;
    } catch (IOException | RuntimeException | Error e) {
      store.close();
      throw e;
    }
  }

  private GradientValues gradient(long from, long count) {
    int bytes = planes.gradient().type().bytes();
    return new GradientValues(
        planes.gradient().type(), planes.gradient().data().asSlice(from * bytes, count * bytes));
  }

  static boolean equal(List<MemorySegment> found, List<MemorySegment> expected) {
    boolean equal = found.size() == expected.size();
    for (int p = 0; equal && p < found.size(); p++) {
      equal = found.get(p).mismatch(expected.get(p)) < 0;
    }
    return equal;
  }
}
