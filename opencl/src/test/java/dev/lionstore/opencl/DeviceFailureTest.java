package dev.lionstore.opencl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.kernel.DeviceException;
import dev.lionstore.kernel.DeviceOptions;
import dev.lionstore.kernel.DeviceOptions.Memory;
import dev.lionstore.opencl.driver.Context;
import dev.lionstore.opencl.driver.Devices;
import dev.lionstore.opencl.driver.KernelCall;
import dev.lionstore.opencl.driver.Queue;
import dev.lionstore.opencl.driver.Status;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StoreOptions;
import dev.lionstore.store.StoresWithKernel;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DeviceFailureTest {
  private static final KernelSource LION = KernelSource.of(UpdateRules.LION);
  private static final StoreOptions SCALAR = StoreOptions.defaults().withBackend("scalar");
  private static final long COUNT = 5_000_001;

  /** What NVIDIA's driver answers when a device is gone, among others. */
  private static final int OUT_OF_RESOURCES = -5;

  @TempDir Path folder;

  /** A device whose queues fail from one run of the step on. */
  private static final class FailingContext extends Context {
    private final AtomicInteger runsLeft;

    FailingContext(int runs) {
      super(Drivers.device(Drivers.POCL));
      this.runsLeft = new AtomicInteger(runs);
    }

    @Override
    public Queue newQueue() {
      return new Queue(this) {
        @Override
        public void run(KernelCall call, long items, long group) {
          if (call.name().startsWith(LION.entry()) && runsLeft.decrementAndGet() < 0) {
            Status.require(OUT_OF_RESOURCES, "clEnqueueNDRangeKernel " + call.name());
          }
          super.run(call, items, group);
        }
      };
    }
  }

  @ParameterizedTest
  @CsvSource({"IN_PLACE, 0", "IN_PLACE, 1", "STREAMING, 0", "STREAMING, 1", "STREAMING, 11"})
  void aStepThatADeviceFailedInIsFinishedByAnotherBackend(Memory memory, int runs)
      throws IOException {
    Path directory = folder.resolve("store");
    TestStores.create(directory, COUNT);
    DeviceOptions options = DeviceOptions.defaults().withMemory(memory);
    try (StateStore store =
        StoresWithKernel.open(
            directory,
            SCALAR.withThreads(2),
            () -> OpenClKernel.owning(new FailingContext(runs), LION, options))) {
      DeviceException failed =
          assertThrows(
              DeviceException.class,
              () -> {
                TestStores.step(store);
                TestStores.step(store);
              });
      assertTrue(
          String.valueOf(failed.getMessage()).contains("CL_OUT_OF_RESOURCES"), failed::toString);
      assertThrows(IllegalStateException.class, () -> TestStores.step(store));
    }
    try (StateStore store = StateStore.open(directory, SCALAR)) {
      assertEquals(expected(store.step()), TestStores.checksum(store));
      assertTrue(store.step() > 0, "the step was intended, so it is taken");
    }
  }

  private long expected(long steps) throws IOException {
    Path directory = folder.resolve("expected");
    TestStores.create(directory, COUNT);
    try (StateStore store = StateStore.open(directory)) {
      while (store.step() < steps) {
        TestStores.step(store);
      }
      return TestStores.checksum(store);
    }
  }

  @Test
  void aSmallBoundOfMemoryIsKeptAndGivesTheSameBits() throws IOException {
    Path directory = folder.resolve("store");
    TestStores.create(directory, COUNT);
    StoreOptions options =
        StoreOptions.defaults()
            .withBackend("opencl:pthread")
            .withDevice(
                DeviceOptions.defaults().withMemory(Memory.STREAMING).withMemoryBytes(100_000));
    try (StateStore store = StateStore.open(directory, options)) {
      TestStores.step(store);
      assertEquals(expected(1), TestStores.checksum(store));
    }
  }

  @Test
  void noMemoryAtAllIsRefused() {
    DeviceOptions options = DeviceOptions.defaults().withMemoryBytes(100);
    try (Context context = new Context(Drivers.device(Drivers.POCL))) {
      IllegalArgumentException refused =
          assertThrows(
              IllegalArgumentException.class, () -> OpenClKernel.sharing(context, LION, options));
      assertTrue(String.valueOf(refused.getMessage()).contains("100 bytes"), refused::toString);
    }
  }

  @Test
  void aSourceThatDoesNotCompileIsAnErrorWithTheLog() {
    try (Context context = new Context(Drivers.device(Drivers.POCL))) {
      KernelSource broken = LION.withText("this is not OpenCL C");
      DeviceException failed =
          assertThrows(
              DeviceException.class,
              () ->
                  context.program(
                      broken.build(KernelSource.Variant.all().getFirst(), context.device())));
      String message = String.valueOf(failed.getMessage());
      assertTrue(message.contains("CL_BUILD_PROGRAM_FAILURE"), message);
      assertTrue(message.contains("error:"), message);
    }
  }

  @Test
  void aDeviceThatIsNotThereIsAnErrorThatListsThoseThatAre() {
    for (String name : List.of("7", "no such device")) {
      IllegalArgumentException refused =
          assertThrows(IllegalArgumentException.class, () -> Devices.named(name));
      String message = String.valueOf(refused.getMessage());
      assertTrue(message.contains(name) && message.contains("pthread"), message);
    }
  }
}
