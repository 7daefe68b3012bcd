package dev.lionstore.store;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.rule.Plane;
import dev.lionstore.state.Condition;
import dev.lionstore.state.StoreBusyException;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class StateStoreTest {
  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource(GradientPlane.class)
  void everyThreadCountChunkSizeAndBackendGivesTheSameBits(GradientPlane plane) throws IOException {
    Stores stores = new Stores(folder, plane, Rounding.STOCHASTIC);
    byte[] expected = stores.run("a", 256, StoreOptions.defaults().withBackend("scalar"), 4);
    for (int threads : new int[] {1, 2, 7}) {
      for (int chunk : new int[] {256, 1024, 65_536}) {
        StoreOptions options = StoreOptions.defaults().withThreads(threads);
        byte[] actual = stores.run("b" + threads + "-" + chunk, chunk, options, 4);
        assertArrayEquals(expected, actual, threads + " threads, chunks of " + chunk);
      }
    }
  }

  @Test
  void closesAndOpensAtTheSameStepWithItsPosition() throws IOException {
    Stores stores = new Stores(folder, GradientPlane.F32, Rounding.NEAREST);
    Path directory = stores.create("s", 256);
    byte[] position = "here".getBytes(StandardCharsets.UTF_8);
    try (StateStore store = StateStore.open(directory)) {
      stores.putGradients(store, 0);
      StepResult result = store.step(Stores.request().withPosition(position));
      assertEquals(1, assertInstanceOf(StepResult.Applied.class, result).step());
    }
    try (StoreReader reader = StoreReader.openAtRest(directory)) {
      assertEquals(1, reader.step());
      assertArrayEquals(position, reader.position());
      assertEquals(Condition.State.CLEAN, reader.condition().state());
    }
  }

  @Test
  void shouldRefuseANonFiniteGradientAndLeaveEveryBit() throws IOException {
    Stores stores = new Stores(folder, GradientPlane.F32, Rounding.NEAREST);
    Path directory = stores.create("s", 256);
    try (StateStore store = StateStore.open(directory)) {
      byte[] before = Stores.bytes(store);
      stores.putGradients(store, 0);
      store
          .gradients()
          .put(Stores.WEIGHT, stores.gradientWith(store, Stores.WEIGHT, 77, Float.NaN));
      StepResult result = store.step(Stores.request());
      StepResult.Refused refused = assertInstanceOf(StepResult.Refused.class, result);
      assertEquals(store.layout().tensors().get(Stores.WEIGHT).name(), refused.tensor());
      assertEquals(77, refused.index());
      assertTrue(Float.isNaN(refused.value()));
      assertEquals(0, store.step());
      assertArrayEquals(before, Stores.bytes(store));
    }
  }

  @Test
  void shouldRefuseAGradientThatIsInfiniteOnlyAfterScaling() throws IOException {
    Stores stores = new Stores(folder, GradientPlane.F32, Rounding.NEAREST);
    try (StateStore store = StateStore.open(stores.create("s", 256))) {
      stores.putGradients(store, 0);
      store.gradients().put(Stores.WEIGHT, stores.gradientWith(store, Stores.WEIGHT, 3, 1e38f));
      StepResult result = store.step(Stores.request().withScale(1e-3, 1));
      assertEquals(3, assertInstanceOf(StepResult.Refused.class, result).index());
      assertEquals(0, store.step());
    }
  }

  @Test
  void clippingScalesByTheNormInDouble() throws IOException {
    Stores stores = new Stores(folder, GradientPlane.F32, Rounding.NEAREST);
    try (StateStore store = StateStore.open(stores.create("s", 256))) {
      stores.putGradients(store, 0);
      StepResult.Applied free = (StepResult.Applied) store.step(Stores.request());
      stores.putGradients(store, 0);
      StepResult.Applied clipped =
          (StepResult.Applied) store.step(Stores.request().withClipNorm(0.5));
      assertEquals(1, free.clipCoefficient());
      assertEquals(free.gradientNorm(), clipped.gradientNorm());
      assertEquals(0.5 / (free.gradientNorm() + 1e-6), clipped.clipCoefficient());
    }
  }

  @Test
  void accumulatedMicroBatchesStepAsTheirSum() throws IOException {
    Stores stores = new Stores(folder, GradientPlane.F32, Rounding.NEAREST);
    byte[] summed;
    try (StateStore store = StateStore.open(stores.create("a", 256))) {
      for (int t : stores.trainable(store)) {
        store.gradients().put(t, stores.sum(store, t, 1, 2));
      }
      store.step(Stores.request());
      summed = Stores.bytes(store);
    }
    try (StateStore store = StateStore.open(stores.create("b", 256))) {
      for (int t : stores.trainable(store)) {
        store.gradients().accumulate(t, stores.gradient(store, t, 1));
        store.gradients().accumulate(t, stores.gradient(store, t, 2));
      }
      store.step(Stores.request());
      assertArrayEquals(summed, Stores.bytes(store));
    }
  }

  @Test
  void aTensorWithoutGradientIsNotTouchedWhenThatIsAllowed() throws IOException {
    Stores stores = new Stores(folder, GradientPlane.BF16, Rounding.NEAREST);
    try (StateStore store = StateStore.open(stores.create("s", 256))) {
      byte[] before = store.values(Plane.WEIGHTS, Stores.NORM).toArray(ValueLayout.JAVA_BYTE);
      store.gradients().put(Stores.WEIGHT, stores.gradient(store, Stores.WEIGHT, 0));
      assertThrows(IllegalArgumentException.class, () -> store.step(Stores.request()));
      store.step(Stores.request().withMissing(StepRequest.Missing.ALLOWED));
      assertEquals(1, store.step());
      assertArrayEquals(
          before, store.values(Plane.WEIGHTS, Stores.NORM).toArray(ValueLayout.JAVA_BYTE));
    }
  }

  @Test
  void shouldRefuseWhatTheBf16GradientPlaneCannotHold() throws IOException {
    Stores stores = new Stores(folder, GradientPlane.BF16, Rounding.NEAREST);
    try (StateStore store = StateStore.open(stores.create("s", 256))) {
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class,
              () ->
                  store
                      .gradients()
                      .put(Stores.WEIGHT, stores.gradientWith(store, Stores.WEIGHT, 5, 0.1f)));
      assertTrue(String.valueOf(e.getMessage()).contains("--gradient-plane f32"), e::toString);
    }
  }

  @Test
  void shouldRefuseGradientsOfFrozenTensorsAndWrongSizes() throws IOException {
    Stores stores = new Stores(folder, GradientPlane.F32, Rounding.NEAREST);
    try (StateStore store = StateStore.open(stores.create("s", 256))) {
      int frozen = Stores.FROZEN;
      assertEquals(TensorSpec.Role.FROZEN, store.layout().tensors().get(frozen).role());
      assertThrows(
          IllegalArgumentException.class,
          () -> store.gradients().put(frozen, stores.gradient(store, frozen, 0)));
      assertThrows(
          IllegalArgumentException.class,
          () -> store.gradients().put(Stores.NORM, stores.gradient(store, Stores.WEIGHT, 0)));
    }
  }

  @Test
  void aSecondWriterIsRefusedAndTheFirstKeepsItsLock() throws IOException {
    Stores stores = new Stores(folder, GradientPlane.F32, Rounding.NEAREST);
    Path directory = stores.create("s", 256);
    try (StateStore first = StateStore.open(directory)) {
      assertEquals(0, first.step());
      assertThrows(StoreBusyException.class, () -> StateStore.open(directory));
      assertThrows(StoreBusyException.class, () -> StateStore.open(directory));
    }
    StateStore.open(directory).close();
  }

  @Test
  void aFileOfAnotherStoreOrStepIsDetected() throws IOException {
    Stores stores = new Stores(folder, GradientPlane.F32, Rounding.NEAREST);
    Path a = stores.create("a", 256);
    Path b = stores.create("b", 256);
    Path stale = Files.copy(a.resolve("momentum.plane"), folder.resolve("stale"));
    try (StateStore store = StateStore.open(a)) {
      stores.putGradients(store, 0);
      store.step(Stores.request());
    }
    for (Path source : List.of(b.resolve("momentum.plane"), stale)) {
      Files.delete(a.resolve("momentum.plane"));
      Files.copy(source, a.resolve("momentum.plane"));
      assertThrows(IOException.class, () -> StateStore.open(a), source.toString());
    }
  }

  @Test
  void aBuilderThatIsNotFinishedLeavesNothing() throws IOException {
    Stores stores = new Stores(folder, GradientPlane.F32, Rounding.NEAREST);
    try (StoreBuilder builder = StoreBuilder.create(folder.resolve("s"), stores.layout())) {
      assertTrue(Files.exists(builder.directory()));
    }
    try (var entries = Files.list(folder)) {
      assertEquals(List.of(), entries.toList());
    }
  }
}
