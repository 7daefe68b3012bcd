package dev.lionstore.opencl;

import dev.lionstore.kernel.DeviceOptions;
import dev.lionstore.kernel.DeviceOptions.Memory;
import dev.lionstore.opencl.driver.Context;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StoreOptions;
import dev.lionstore.store.StoresWithKernel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** What {@link DeviceKillTest} kills: steps a store with a device for as long as it lives. */
final class KilledMain {
  /** A line for each completed step. */
  static final String STEPPED = "stepped";

  private KilledMain() {}

  /** Takes the store, how the device reaches it, a file with the kernel's text, and its rule. */
  public static void main(String[] arguments) throws IOException {
    KernelSource source =
        KernelSource.of(UpdateRules.required(arguments[3]))
            .withText(Files.readString(Path.of(arguments[2])));
    DeviceOptions options = DeviceOptions.defaults().withMemory(Memory.valueOf(arguments[1]));
    try (StateStore store =
        StoresWithKernel.open(
            Path.of(arguments[0]),
            StoreOptions.defaults().withBackend("scalar").withThreads(2),
            () ->
                OpenClKernel.owning(new Context(Drivers.device(Drivers.POCL)), source, options))) {
      while (true) {
        TestStores.step(store);
        System.out.println(STEPPED);
      }
    }
  }
}
