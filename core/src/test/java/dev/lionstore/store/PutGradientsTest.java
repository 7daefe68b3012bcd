package dev.lionstore.store;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.GradientValues;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class PutGradientsTest {
  private static final StoreOptions THREADS = StoreOptions.defaults().withThreads(3);

  @TempDir private Path folder;

  private static Map<Integer, GradientValues> all(Stores stores, StateStore store) {
    Map<Integer, GradientValues> all = new HashMap<>();
    for (int t : stores.trainable(store)) {
      all.put(t, stores.gradient(store, t, 0));
    }
    return all;
  }

  @ParameterizedTest
  @EnumSource
  void togetherTheyAreWhatTheyAreOneByOne(GradientPlane plane) throws IOException {
    Stores stores = new Stores(folder, plane, Rounding.STOCHASTIC);
    byte[] before;
    byte[] expected = stores.run("one by one", 256, THREADS, 1);
    try (StateStore store = StateStore.open(stores.create("together", 256), THREADS)) {
      before = Stores.bytes(store);
      store.gradients().putAll(all(stores, store));
      store.step(Stores.request().withClipNorm(1));
      assertArrayEquals(expected, Stores.bytes(store));
    }
    assertFalse(Arrays.equals(before, expected));
  }

  @Test
  void theFirstRefusalIsTold() throws IOException {
    Stores stores = new Stores(folder, GradientPlane.BF16, Rounding.NEAREST);
    try (StateStore store = StateStore.open(stores.create("s", 256), THREADS)) {
      Map<Integer, GradientValues> all = all(stores, store);
      all.put(Stores.WEIGHT, stores.gradientWith(store, Stores.WEIGHT, 5, 0.1f));
      all.put(Stores.NORM, stores.gradientWith(store, Stores.NORM, 6, 0.3f));
      String told =
          String.valueOf(
              assertThrows(IllegalArgumentException.class, () -> store.gradients().putAll(all))
                  .getMessage());
      assertTrue(told.startsWith("gradient of tensor norm: element 6 is 0.3, which"), told);
      assertThrows(IllegalArgumentException.class, () -> store.step(Stores.request()));
    }
  }

  @Test
  void nothingIsPutIfOneDoesNotFit() throws IOException {
    Stores stores = new Stores(folder, GradientPlane.F32, Rounding.NEAREST);
    try (StateStore store = StateStore.open(stores.create("s", 256), THREADS)) {
      Map<Integer, GradientValues> all = all(stores, store);
      all.put(Stores.FROZEN, stores.gradient(store, Stores.FROZEN, 0));
      assertThrows(IllegalArgumentException.class, () -> store.gradients().putAll(all));
      assertThrows(
          IllegalArgumentException.class,
          () -> store.step(Stores.request().withMissing(StepRequest.Missing.ALLOWED)));
    }
  }

  /** What is this thread's alone is put by this thread alone. */
  @Test
  void memoryOfOneThreadWillDo() throws IOException {
    Stores stores = new Stores(folder, GradientPlane.F32, Rounding.NEAREST);
    try (StateStore store = StateStore.open(stores.create("s", 256), THREADS);
        Arena arena = Arena.ofConfined()) {
      Map<Integer, GradientValues> all = all(stores, store);
      all.replaceAll((tensor, gradient) -> {
        MemorySegment own = arena.allocate(gradient.data().byteSize(), 8);
        own.copyFrom(gradient.data());
        return new GradientValues(gradient.type(), own);
      });
      store.gradients().putAll(all);
      assertEquals(1, ((StepResult.Applied) store.step(Stores.request())).step());
    }
  }
}
