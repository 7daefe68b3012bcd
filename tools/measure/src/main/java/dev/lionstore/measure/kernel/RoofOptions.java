package dev.lionstore.measure.kernel;

import dev.lionstore.kernel.DeviceOptions;
import dev.lionstore.store.StoreOptions;
import java.nio.file.Path;
import java.util.Optional;

/**
 * What {@link RoofBenchmark} is called with.
 *
 * @param parameters how many there are
 * @param threads that pass over them
 * @param pairs of measurements per task
 * @param directory where mapped files lie; without one the memory is anonymous
 * @param backend what is measured
 */
public record RoofOptions(
    long parameters, int threads, int pairs, Optional<Path> directory, Backend backend) {
  /**
   * What is measured.
   *
   * @param name as the store is told
   * @param memory how a device reaches the state
   */
  record Backend(String name, DeviceOptions.Memory memory) {
    /** A store's options for it. */
    StoreOptions options(int threads) {
      return StoreOptions.defaults()
          .withBackend(name)
          .withThreads(threads)
          .withDevice(DeviceOptions.defaults().withMemory(memory));
    }
  }
}
