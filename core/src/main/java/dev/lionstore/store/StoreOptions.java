package dev.lionstore.store;

import dev.lionstore.kernel.DeviceOptions;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.store.file.ProgressFile;
import java.util.function.Consumer;

/**
 * How a writer works on a store; none of it changes a bit of the result, unless a device's
 * conformance is waived.
 *
 * @param backend which kernel steps, or {@link Kernels#AUTO}; a backend's device after a colon
 * @param threads how many threads step, 1 to {@value #MAX_THREADS}; past the page cache it is eight
 * @param device how a device is used, if one steps
 * @param access how the CPU reaches the planes
 * @param notices is told, in a sentence, what opening the store is about to do if that may take
 *     long: finish a killed step, measure devices
 */
public record StoreOptions(
    String backend,
    int threads,
    DeviceOptions device,
    PlaneAccess access,
    Consumer<String> notices) {
  /** The most threads that can step. */
  public static final int MAX_THREADS = ProgressFile.WORKERS;

  /** Validates. */
  public StoreOptions {
    if (threads < 1 || threads > MAX_THREADS) {
      throw new IllegalArgumentException(
          "threads is " + threads + ", expected 1 to " + MAX_THREADS);
    }
  }

  /** With {@link DeviceOptions#defaults()} and {@link PlaneAccess#AUTO}, and nobody is told. */
  public StoreOptions(String backend, int threads) {
    this(backend, threads, DeviceOptions.defaults(), PlaneAccess.AUTO, StoreOptions::tellNobody);
  }

  private static void tellNobody(String notice) {}

  /** The best kernel on every core. */
  public static StoreOptions defaults() {
    return new StoreOptions(
        Kernels.AUTO, Math.clamp(Runtime.getRuntime().availableProcessors(), 1, MAX_THREADS));
  }

  /** The same with another kernel. */
  public StoreOptions withBackend(String newBackend) {
    return new StoreOptions(newBackend, threads, device, access, notices);
  }

  /** The same with another number of threads. */
  public StoreOptions withThreads(int newThreads) {
    return new StoreOptions(backend, newThreads, device, access, notices);
  }

  /** The same with another use of devices. */
  public StoreOptions withDevice(DeviceOptions newDevice) {
    return new StoreOptions(backend, threads, newDevice, access, notices);
  }

  /** The same with another access to the planes. */
  public StoreOptions withAccess(PlaneAccess newAccess) {
    return new StoreOptions(backend, threads, device, newAccess, notices);
  }

  /** The same with somebody else who is told. */
  public StoreOptions withNotices(Consumer<String> newNotices) {
    return new StoreOptions(backend, threads, device, access, newNotices);
  }
}
