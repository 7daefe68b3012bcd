package dev.lionstore.opencl;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.Rounding;
import dev.lionstore.kernel.DeviceOptions;
import dev.lionstore.kernel.DeviceOptions.Memory;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.opencl.driver.Context;
import dev.lionstore.rule.UpdateRules;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class NothingLeaksTest {
  private static final KernelSource LION = KernelSource.of(UpdateRules.LION);
  private static final int TIMES = 400;
  private static final int WARM_UP = 100;
  private static final int COUNT = 4096;

  /**
   * 400 KiB for each of four hundred: less than the megabyte that a kernel takes. The JVM's own
   * heap grows by tens of megabytes meanwhile.
   */
  private static final long MOST_BYTES = 160L << 20;

  /**
   * What a process has.
   *
   * @param memory resident, in bytes
   * @param files that are open
   * @param threads that run
   */
  private record Usage(long memory, long files, long threads) {
    static Usage now() throws IOException {
      return new Usage(status("VmRSS:") * 1024, count("fd"), count("task"));
    }

    private static long status(String field) throws IOException {
      try (Stream<String> lines = Files.lines(Path.of("/proc/self/status"))) {
        String line = lines.filter(found -> found.startsWith(field)).findFirst().orElseThrow();
        return Long.parseLong(line.replaceAll("\\D", ""));
      }
    }

    private static long count(String folder) throws IOException {
      try (Stream<Path> entries = Files.list(Path.of("/proc/self", folder))) {
        return entries.count();
      }
    }
  }

  @Test
  void hundredsOfKernelsLeaveNothingBehind() throws IOException {
    try (Arena arena = Arena.ofShared()) {
      HostileTensor.Shape shape =
          new HostileTensor.Shape(
              KernelSource.Variant.all().getFirst().gradients(),
              COUNT,
              1,
              HostileTensor.Values.NORMAL);
      HostileTensor tensor = HostileTensor.of(arena, shape);
      openAndClose(tensor, WARM_UP);
      System.gc();
      Usage before = Usage.now();
      openAndClose(tensor, TIMES);
      System.gc();
      Usage after = Usage.now();
      String found = before + ", then " + after;
      assertTrue(after.memory() - before.memory() < MOST_BYTES, found);
      assertTrue(after.files() - before.files() <= 2, found);
      assertTrue(after.threads() - before.threads() <= 2, found);
    }
  }

  private static void openAndClose(HostileTensor tensor, int times) {
    Memory[] memory = {Memory.IN_PLACE, Memory.STREAMING};
    for (int time = 0; time < times; time++) {
      DeviceOptions options =
          DeviceOptions.defaults().withMemory(memory[time % 2]).withMemoryBytes(1 << 20);
      try (OpenClKernel kernel =
          OpenClKernel.owning(new Context(Drivers.device(Drivers.POCL)), LION, options)) {
        kernel.attach(tensor.memory());
        try (Kernel.Stepper stepper = kernel.newStepper()) {
          stepper.apply(tensor.step(Rounding.NEAREST, 0), 0, COUNT);
        }
      }
    }
  }
}
