package dev.lionstore.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.GradientValues;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GradientSumTest {
  @TempDir private Path folder;

  private StateStore open() throws IOException {
    return StateStore.open(
        new Stores(folder, GradientPlane.F32, Rounding.NEAREST).create("s", 256));
  }

  private GradientValues gradient(StateStore store, int round) {
    return new Stores(folder, GradientPlane.F32, Rounding.NEAREST)
        .gradient(store, Stores.WEIGHT, round);
  }

  @Test
  void aSumOfSquaresIsOfWhatWasPutAndAccumulatedLast() throws IOException {
    try (StateStore store = open()) {
      GradientValues first = gradient(store, 0);
      GradientValues second = gradient(store, 1);
      store.gradients().put(Stores.WEIGHT, first);
      assertSum(store, first, 1, second, 0);
      store.gradients().accumulate(Stores.WEIGHT, second);
      assertSum(store, first, 1, second, 1);
      store.gradients().put(Stores.WEIGHT, second);
      assertSum(store, first, 0, second, 1);
    }
  }

  private static void assertSum(
      StateStore store, GradientValues first, float a, GradientValues second, float b) {
    double sum = 0;
    for (long i = 0; i < first.count(); i++) {
      double value = a * first.get(i) + b * second.get(i);
      sum += value * value;
    }
    assertTrue(sum > 0);
    assertEquals(1, store.gradients().sumOfSquares(Stores.WEIGHT) / sum, 1e-12);
  }

  @Test
  void aSumOfSquaresTellsOfNonFiniteValuesAndLeavesTheGradient() throws IOException {
    try (StateStore store = open()) {
      Stores stores = new Stores(folder, GradientPlane.F32, Rounding.NEAREST);
      store
          .gradients()
          .put(
              Stores.WEIGHT, stores.gradientWith(store, Stores.WEIGHT, 7, Float.NEGATIVE_INFINITY));
      assertFalse(Double.isFinite(store.gradients().sumOfSquares(Stores.WEIGHT)));
      assertFalse(Double.isFinite(store.gradients().sumOfSquares(Stores.WEIGHT)));
    }
  }

  @Test
  void aTensorWithoutAGradientHasNoSumOfSquares() throws IOException {
    try (StateStore store = open()) {
      store.gradients().put(Stores.WEIGHT, gradient(store, 0));
      store.gradients().discard();
      assertThrows(
          IllegalArgumentException.class, () -> store.gradients().sumOfSquares(Stores.WEIGHT));
    }
  }
}
