package dev.lionstore.store;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.Plane;
import dev.lionstore.state.StoreUnusableException;
import dev.lionstore.state.TornStep;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class StreamingStepTest {
  @TempDir private Path folder;

  private Stores stores(Rounding rounding) {
    return new Stores(folder, GradientPlane.NONE, rounding);
  }

  @ParameterizedTest
  @EnumSource(Rounding.class)
  void givesTheBitsOfAStepThatTakesAllGradientsAtOnce(Rounding rounding) throws IOException {
    Stores stores = stores(rounding);
    byte[] whole;
    StepResult.Applied result;
    try (StateStore store = StateStore.open(stores.create("whole", 256))) {
      for (int round = 0; round < 2; round++) {
        stores.putGradients(store, round);
        store.step(Stores.request());
      }
      stores.putGradients(store, 2);
      result = (StepResult.Applied) store.step(Stores.request().withScale(1, 2));
      whole = Stores.bytes(store);
    }
    Path directory = stores.create("streamed", 256);
    try (StateStore store = StateStore.open(directory)) {
      for (int round = 0; round < 2; round++) {
        stream(stores, store, round, Stores.request());
      }
      StepRequest last = Stores.request().withScale(1, 2).withPosition(Stores.POSITION);
      assertEquals(result, stream(stores, store, 2, last));
      assertArrayEquals(whole, Stores.bytes(store));
    }
    try (StoreReader reader = StoreReader.openAtRest(directory)) {
      assertEquals(3, reader.step());
      assertArrayEquals(Stores.POSITION, reader.position());
      assertArrayEquals(whole, Stores.bytes(reader));
    }
  }

  private static StepResult.Applied stream(
      Stores stores, StateStore store, int round, StepRequest request) throws IOException {
    StreamingStep step = store.beginStreaming(request);
    int[] tensors = stores.trainable(store);
    for (int i = tensors.length - 1; i >= 0; i--) { // as a backward pass gives them
      assertEquals(
          Optional.empty(), step.step(tensors[i], stores.gradient(store, tensors[i], round)));
    }
    return step.finish();
  }

  @Test
  void aNonFiniteGradientRefusesItsTensorAlone() throws IOException {
    Stores stores = stores(Rounding.NEAREST);
    try (StateStore store = StateStore.open(stores.create("s", 256))) {
      StreamingStep step = store.beginStreaming(Stores.request());
      for (int t : stores.trainable(store)) {
        GradientValues gradient =
            t == Stores.NORM
                ? stores.gradientWith(store, t, 5, Float.NEGATIVE_INFINITY)
                : stores.gradient(store, t, 0);
        Optional<StepResult.Refused> refused = step.step(t, gradient);
        assertEquals(t == Stores.NORM, refused.isPresent());
        refused.ifPresent(r -> assertEquals("norm", r.tensor()));
        refused.ifPresent(r -> assertEquals(5, r.index()));
      }
      assertEquals(1, step.finish().step());
      assertArrayEquals(
          initial(stores, Stores.NORM),
          store.values(Plane.WEIGHTS, Stores.NORM).toArray(ValueLayout.JAVA_BYTE));
    }
  }

  private byte[] initial(Stores stores, int tensor) throws IOException {
    try (StateStore store = StateStore.open(stores.create("initial", 256))) {
      return store.values(Plane.WEIGHTS, tensor).toArray(ValueLayout.JAVA_BYTE);
    }
  }

  @Test
  void refusesWhatCannotBeStreamedAndChangesNothing() throws IOException {
    Stores stores = stores(Rounding.NEAREST);
    Path directory = stores.create("s", 256);
    byte[] before;
    try (StateStore store = StateStore.open(directory)) {
      before = Stores.bytes(store);
      assertRefused(() -> store.beginStreaming(Stores.request().withClipNorm(1)), "clip");
      assertRefused(() -> store.beginStreaming(Stores.request().withScale(8, 1)), "scaled");
      StreamingStep step = store.beginStreaming(Stores.request());
      GradientValues gradient = stores.gradient(store, Stores.WEIGHT, 0);
      assertRefused(() -> step.step(Stores.FROZEN, gradient), "frozen");
      assertRefused(() -> step.step(Stores.NORM, gradient), "bytes");
      try (Arena arena = Arena.ofConfined()) {
        GradientValues mine =
            new GradientValues(
                gradient.type(), arena.allocate(gradient.data().byteSize(), Float.BYTES));
        assertRefused(() -> step.step(Stores.WEIGHT, mine), "one thread");
      }
      assertRefused(step::finish, "no gradient");
      assertRefused(() -> step.step(99, gradient), "no tensor 99");
      assertThrows(StoreUnusableException.class, () -> store.step(Stores.request()));
      assertThrows(StoreUnusableException.class, () -> store.beginStreaming(Stores.request()));
      assertThrows(
          IllegalStateException.class, () -> store.gradients().put(Stores.WEIGHT, gradient));
    }
    // Nothing had been stepped: closing has taken the step back.
    try (StateStore store = StateStore.open(directory)) {
      assertEquals(0, store.step());
      assertEquals(0, store.position().length);
      assertArrayEquals(before, Stores.bytes(store));
      StreamingStep step = store.beginStreaming(Stores.request());
      step.step(Stores.WEIGHT, stores.gradient(store, Stores.WEIGHT, 0));
      assertRefused(
          () -> step.step(Stores.WEIGHT, stores.gradient(store, Stores.WEIGHT, 0)), "has been");
    }
    assertTorn(directory);
    assertOver(stores);
    Stores kept = new Stores(folder, GradientPlane.F32, Rounding.NEAREST);
    try (StateStore store = StateStore.open(kept.create("kept", 256))) {
      assertRefused(() -> store.beginStreaming(Stores.request()), "gradient plane");
    }
  }

  private static void assertOver(Stores stores) throws IOException {
    StreamingStep step;
    GradientValues gradient;
    try (StateStore store = StateStore.open(stores.create("put", 256))) {
      stores.putGradients(store, 0);
      assertRefused(() -> store.beginStreaming(Stores.request()), "discard");
      store.gradients().discard();
      step = store.beginStreaming(Stores.request());
      gradient = stores.gradient(store, Stores.WEIGHT, 0);
    }
    assertThrows(IllegalStateException.class, step::finish);
    assertThrows(IllegalStateException.class, () -> step.step(Stores.WEIGHT, gradient));
  }

  /** A store that was closed in the middle of a streaming step. */
  private static void assertTorn(Path directory) throws IOException {
    try (StoreReader reader = StoreReader.open(directory)) {
      assertFalse(reader.condition().usable());
      TornStep torn = reader.tornStep().orElseThrow();
      assertEquals(List.of("weight"), torn.after());
      assertTrue(torn.before().contains("norm"), torn::toString);
      assertTrue(torn.between().isEmpty(), torn::toString);
    }
    assertThrows(StoreUnusableException.class, () -> StateStore.open(directory));
  }

  private static void assertRefused(Executable call, String word) {
    IllegalArgumentException refused = assertThrows(IllegalArgumentException.class, call);
    assertTrue(String.valueOf(refused.getMessage()).contains(word), refused::toString);
  }
}
