package dev.lionstore.measure.device;

import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.DeviceOptions;
import dev.lionstore.kernel.DeviceOptions.Memory;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.measure.report.Labels;
import dev.lionstore.measure.timing.TimedTask;
import dev.lionstore.measure.timing.Warming;
import dev.lionstore.measure.workload.BenchmarkStore;
import dev.lionstore.opencl.driver.Device;
import dev.lionstore.store.StoreOptions;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** Whole steps of stores on a device, in each way to the state. */
final class DeviceStores {
  private final DeviceBenchmarkOptions options;
  private final Device device;
  private final GradientValues gradient;
  private final DeviceBandwidths roofs;
  private final List<Memory> ways = new ArrayList<>();
  private final List<DeviceShare> shares = new ArrayList<>();
  private final List<String> notes = new ArrayList<>();

  DeviceStores(
      DeviceBenchmarkOptions options,
      Device device,
      GradientValues gradient,
      DeviceBandwidths roofs) {
    this.options = options;
    this.device = device;
    this.gradient = gradient;
    this.roofs = roofs;
  }

  /** The shares that have been measured. */
  List<DeviceShare> shares() {
    return shares;
  }

  /** The ways that the device has. */
  List<Memory> ways() {
    return ways;
  }

  /** What could not be measured, and why, a sentence each. */
  List<String> notes() {
    return notes;
  }

  /** As the store is told. */
  String backend() {
    return "opencl:" + device.index();
  }

  /** A store's options; the bits are compared here, so a verdict refuses nothing. */
  static StoreOptions storeOptions(String backend, Memory memory) {
    return StoreOptions.defaults()
        .withBackend(backend)
        .withDevice(
            DeviceOptions.defaults()
                .withMemory(memory)
                .withConformance(DeviceOptions.Conformance.WAIVED));
  }

  void measure(DeviceBandwidths.Direction slower) throws IOException, InterruptedException {
    measure(
        Memory.RESIDENT,
        roofs.up(DeviceBandwidths.GRADIENT_BYTES),
        DeviceBandwidths.GRADIENT_BYTES);
    switch (slower) {
      case UP ->
          measure(Memory.STREAMING, roofs.up(DeviceBandwidths.UP_BYTES), DeviceBandwidths.UP_BYTES);
      case DOWN ->
          measure(
              Memory.STREAMING,
              roofs.down(DeviceBandwidths.DOWN_BYTES),
              DeviceBandwidths.DOWN_BYTES);
    }
    if (device.sharesMemory()) {
      measure(Memory.IN_PLACE, roofs.copy(1), DeviceBandwidths.STEP_BYTES);
    } else {
      notes.add("store, in place: not measured, the device has memory of its own");
    }
  }

  private void measure(Memory memory, TimedTask roof, int bytes)
      throws IOException, InterruptedException {
    try {
      measure(memory, GradientPlane.NONE, roof, bytes);
      if (memory != Memory.RESIDENT) { // whose steps save nothing
        measure(memory, GradientPlane.BF16, roof, bytes);
      }
      ways.add(memory);
    } catch (IllegalArgumentException e) {
      notes.add("store, " + Labels.of(memory) + ": refused, " + e.getMessage());
    }
  }

  private void measure(Memory memory, GradientPlane plane, TimedTask roof, int bytes)
      throws IOException, InterruptedException {
    StoreOptions store = storeOptions(backend(), memory);
    try (BenchmarkStore stepped =
        BenchmarkStore.create(options.directory(), options.parameters(), plane, store)) {
      for (Rounding rounding : Rounding.values()) {
        String word = Labels.of(rounding);
        TimedTask task =
            new TimedTask(
                "store, " + Labels.of(memory) + ", gradient plane " + plane.word() + ", " + word,
                () -> stepped.putGradient(gradient),
                () -> stepped.step(rounding));
        Warming.up(options.warmUp(), List.of(task));
        requireKept(memory, stepped);
        shares.add(
            DeviceShare.measure(
                String.join("_", "store", Labels.of(memory).replace(' ', '_'), plane.word(), word),
                roof,
                task,
                new DeviceShare.Size(bytes, options.parameters(), options.pairs())));
      }
    }
  }

  /** The CPU could have stepped instead, and its bits are right, too. */
  static void requireKept(Memory memory, BenchmarkStore stepped) {
    if ((memory == Memory.RESIDENT) != stepped.isAhead()) {
      throw new IllegalStateException("the store did not step on the device as told: " + memory);
    }
  }
}
