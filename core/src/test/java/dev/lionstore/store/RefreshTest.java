package dev.lionstore.store;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.rule.Plane;
import dev.lionstore.state.PlaneSource;
import dev.lionstore.state.StoreUnusableException;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** State that a device keeps comes back into the planes. */
class RefreshTest {
  @TempDir private Path folder;

  @Test
  void bringsThePlanesToTheDevicesStepAndGoesOnFromThere() throws IOException {
    Stores stores = new Stores(folder, GradientPlane.F32, Rounding.STOCHASTIC);
    Path source = stores.create("source", 256);
    Path target = stores.create("target", 256);
    try (StateStore elsewhere = StateStore.open(source);
        StateStore store = StateStore.open(target)) {
      for (int round = 0; round < 3; round++) {
        stores.putGradients(elsewhere, round);
        elsewhere.step(Stores.request());
      }
      store.refresh(3, Stores.POSITION, planes -> copy(elsewhere, planes));
      assertEquals(3, store.step());
      assertArrayEquals(Stores.POSITION, store.position());
      stores.putGradients(elsewhere, 3);
      elsewhere.step(Stores.request());
      stores.putGradients(store, 3);
      store.step(Stores.request());
      assertArrayEquals(Stores.bytes(elsewhere), Stores.bytes(store));
      assertThrows(
          IllegalArgumentException.class, () -> store.refresh(3, new byte[0], planes -> {}));
      assertThrows(
          IllegalArgumentException.class, () -> store.refresh(5, new byte[1 << 20], planes -> {}));
      assertEquals(4, store.step());
    }
    try (StoreReader reader = StoreReader.openAtRest(target)) {
      assertEquals(4, reader.step());
    }
  }

  @Test
  void aRefreshThatDoesNotEndLeavesAStoreThatNobodyTrusts() throws IOException {
    Stores stores = new Stores(folder, GradientPlane.NONE, Rounding.NEAREST);
    Path directory = stores.create("s", 256);
    try (StateStore store = StateStore.open(directory)) {
      assertThrows(
          DyingParts.Death.class,
          () ->
              store.refresh(
                  2,
                  new byte[0],
                  planes -> {
                    planes.of(Plane.WEIGHTS, Stores.WEIGHT).fill((byte) 1);
                    throw new DyingParts.Death();
                  }));
      assertThrows(StoreUnusableException.class, () -> store.step(Stores.request()));
    }
    StoreUnusableException refused =
        assertThrows(StoreUnusableException.class, () -> StateStore.open(directory));
    assertTrue(refused.toString().contains("device"), refused::toString);
    assertThrows(StoreUnusableException.class, () -> StoreReader.openAtRest(directory));
  }

  private static void copy(StateStore from, PlaneSource.PlaneValues to) {
    for (int t = 0; t < from.layout().tensors().size(); t++) {
      for (Plane plane : from.layout().planes()) {
        to.of(plane, t).copyFrom(from.values(plane, t));
      }
    }
  }
}
