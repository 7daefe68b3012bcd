package dev.lionstore.opencl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.DeviceOptions;
import dev.lionstore.kernel.StoreMemory;
import dev.lionstore.opencl.driver.Context;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.Condition;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StoreOptions;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class ResidentStateTest {
  private static final KernelSource LION = KernelSource.of(UpdateRules.LION);
  private static final int COUNT = 150_001;
  private static final int[] SIZES = {1, 13, 63, 64, 65, 207, 4098, 70_001};

  /** So that a plane of 70,001 elements has many, and pieces end at their ends. */
  private static final long WINDOW_BYTES = 3L * HostileTensor.PAGE;

  private static final StoreOptions SCALAR = StoreOptions.defaults().withBackend("scalar");
  private static final StoreOptions RESIDENT =
      StoreOptions.defaults()
          .withBackend("opencl:pthread")
          .withDevice(DeviceOptions.defaults().withMemory(DeviceOptions.Memory.RESIDENT));

  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource(ElementType.class)
  void stepsToTheSameBitsInWindowsOfAnySize(ElementType type) {
    try (Context context = new Context(Drivers.device(Drivers.POCL));
        Arena arena = Arena.ofShared()) {
      for (int count : SIZES) {
        for (Rounding rounding : Rounding.values()) {
          HostileTensor.Shape shape =
              new HostileTensor.Shape(type, count, count * 7L, HostileTensor.Values.HOSTILE);
          HostileTensor expected = HostileTensor.of(arena, shape);
          HostileTensor found = HostileTensor.of(arena, shape);
          DeviceSteps.ofReference(expected, rounding);
          step(context, LION, found, rounding);
          assertEquals(Optional.empty(), expected.difference(found));
        }
      }
    }
  }

  /** Of 17 pages or a few more: no block lies in two of them. */
  @ParameterizedTest
  @EnumSource(Rounding.class)
  void stepsBlocksToTheSameBits(Rounding rounding) {
    KernelSource source = KernelSource.of(UpdateRules.required("adamw-8bit"));
    try (Context context = new Context(Drivers.device(Drivers.POCL));
        Arena arena = Arena.ofShared()) {
      for (int count : new int[] {65, COUNT}) {
        HostileTensor.Shape shape =
            new HostileTensor.Shape(
                HostileTensor.settings(source.rule()).getFirst(),
                ElementType.F32,
                count,
                count,
                HostileTensor.Values.HOSTILE);
        HostileTensor expected = HostileTensor.of(arena, shape);
        HostileTensor found = HostileTensor.of(arena, shape);
        DeviceSteps.ofReference(expected, rounding);
        step(context, source, found, rounding);
        assertEquals(Optional.empty(), expected.difference(found));
      }
    }
  }

  /** As many steps as {@link DeviceSteps} takes. */
  private static void step(
      Context context, KernelSource source, HostileTensor tensor, Rounding rounding) {
    try (ResidentState state =
        new ResidentState(context, source, tensor.memory(), WINDOW_BYTES, 1 << 17)) {
      state.load();
      MemorySegment page =
          tensor.memory().planes().getFirst().memory().asSlice(0, HostileTensor.PAGE);
      page.fill((byte) 7);
      for (int step = 0; step < 3; step++) {
        state.step(List.of(tensor.step(rounding, step)));
      }
      state.store();
      assertEquals((byte) 7, page.get(ValueLayout.JAVA_BYTE, 100), "its page");
    }
  }

  @Test
  void aKillLeavesTheStepOfTheLastRefreshAndTheStoreSaysSo() throws IOException {
    Path directory = folder.resolve("store");
    TestStores.create(directory, COUNT);
    long[] expected = expected(4);
    try (StateStore store = StateStore.open(directory, RESIDENT)) {
      assertTrue(store.selection().reason().contains("a kill loses"), store.selection().reason());
      TestStores.step(store);
      TestStores.step(store);
      assertEquals(2, store.step());
      assertEquals(0, store.planesStep());
      assertLeaves(directory, "later steps on a device", 0, expected[0]);

      store.refresh();
      assertEquals(2, store.planesStep());
      assertLeaves(directory, "between steps", 2, expected[2]);

      TestStores.step(store);
      assertEquals(2, store.planesStep());
      assertLeaves(directory, "later steps on a device", 2, expected[2]);
      assertEquals(expected[3], TestStores.checksum(store), "reading refreshes");
      assertEquals(3, store.planesStep());
      TestStores.step(store);
    }
    try (StateStore store = StateStore.open(directory, SCALAR)) {
      assertEquals(expected[4], TestStores.checksum(store), "closing refreshes");
    }
  }

  /** What a reader is told now, and what a writer finds in a copy: as after a kill. */
  private void assertLeaves(Path directory, String words, long step, long checksum)
      throws IOException {
    try (StoreReader reader = StoreReader.open(directory)) {
      assertEquals(Condition.State.IDLE, reader.condition().state());
      assertTrue(reader.condition().sentence().contains(words), reader.condition().sentence());
      assertEquals(step, reader.step());
    }
    Path copy = Files.createTempDirectory(folder, "killed");
    try (Stream<Path> files = Files.list(directory)) {
      for (Path file : files.toList()) {
        Files.copy(file, copy.resolve(file.getFileName()));
      }
    }
    try (StateStore store = StateStore.open(copy, SCALAR)) {
      assertEquals(step, store.step());
      assertEquals(checksum, TestStores.checksum(store));
    }
  }

  private long[] expected(int steps) throws IOException {
    long[] expected = new long[steps + 1];
    Path directory = folder.resolve("expected");
    TestStores.create(directory, COUNT);
    try (StateStore store = StateStore.open(directory, SCALAR)) {
      expected[0] = TestStores.checksum(store);
      for (int step = 1; step <= steps; step++) {
        TestStores.step(store);
        expected[step] = TestStores.checksum(store);
      }
    }
    return expected;
  }

  @SuppressWarnings("restricted") // nobody reads beyond the page
  @Test
  void aStateThatTheDeviceHasNoRoomForIsRefused() {
    try (Arena arena = Arena.ofShared();
        Context context = new Context(Drivers.device(Drivers.POCL))) {
      MemorySegment page = arena.allocate(HostileTensor.PAGE, HostileTensor.PAGE);
      StoreMemory.PlaneFile huge =
          new StoreMemory.PlaneFile(
              MemorySegment.ofAddress(page.address()).reinterpret(1L << 45), HostileTensor.PAGE);
      StoreMemory memory = new StoreMemory(List.of(huge, huge, huge), Optional.empty(), page);
      ResidentClKernel kernel = new ResidentClKernel(context, LION, RESIDENT.device(), "");
      IllegalArgumentException refusal =
          assertThrows(IllegalArgumentException.class, () -> kernel.attach(memory));
      assertTrue(refusal.toString().contains("use streaming"), refusal::toString);
    }
  }
}
