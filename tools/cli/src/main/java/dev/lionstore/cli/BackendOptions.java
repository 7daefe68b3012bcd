package dev.lionstore.cli;

import dev.lionstore.kernel.DeviceOptions;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.store.PlaneAccess;
import dev.lionstore.store.StoreOptions;
import java.util.Locale;
import java.util.Set;
import java.util.function.Consumer;
import picocli.CommandLine.Option;

/** What steps, and how it reaches the state; none of it changes a bit of a step, but --insist. */
final class BackendOptions {
  private static final Set<String> NAMES = Set.of(Kernels.AUTO, "scalar", "vector", "opencl");

  @Option(
      names = "--backend",
      paramLabel = "auto|scalar|vector|opencl[:DEVICE]",
      description =
          "What computes the step (default: auto). DEVICE is an index or a part of a name; see"
              + " lionstore devices.")
  private String backend = Kernels.AUTO;

  @Option(
      names = "--device-memory",
      paramLabel = "auto|in-place|streaming|resident",
      converter = Converters.OfDeviceMemory.class,
      description = "How an OpenCL device reaches the state (default: what suits it).")
  private DeviceOptions.Memory memory = DeviceOptions.defaults().memory();

  @Option(
      names = "--device-bytes",
      paramLabel = "SIZE",
      converter = Converters.OfBytes.class,
      description =
          "The most of a device's memory for what is on its way, for instance 256MiB (default).")
  private long deviceBytes = DeviceOptions.defaults().memoryBytes();

  @Option(
      names = "--insist",
      description =
          "Use a device although it computes other bits than the reference; the store records it.")
  private boolean insist;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "How many threads step (default: all cores).")
  private int threads = StoreOptions.defaults().threads();

  @Option(
      names = "--access",
      paramLabel = "WAY",
      converter = Converters.OfPlaneAccess.class,
      description =
          "How the CPU reaches the state: auto (default), mapped (in place), or direct (past the"
              + " page cache: auto's choice for a store on a disk that is larger than half of the"
              + " memory).")
  private PlaneAccess access = PlaneAccess.AUTO;

  /**
   * The options that a store is opened with.
   *
   * @param notices as {@link StoreOptions} has it
   * @throws IllegalArgumentException if a value is out of its bounds or a backend unknown
   */
  StoreOptions store(Consumer<String> notices) {
    String name = backend.split(":", 2)[0].toLowerCase(Locale.ROOT);
    if (!NAMES.contains(name)) {
      throw new IllegalArgumentException(
          "--backend is " + backend + ", expected auto, scalar, vector, opencl or opencl:DEVICE");
    }
    DeviceOptions device =
        new DeviceOptions(
            memory,
            deviceBytes,
            insist ? DeviceOptions.Conformance.WAIVED : DeviceOptions.Conformance.REQUIRED);
    return new StoreOptions(backend, threads, device, access, notices);
  }
}
