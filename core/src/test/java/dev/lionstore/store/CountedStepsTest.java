package dev.lionstore.store;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.Coefficients;
import dev.lionstore.rule.Master;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StateView;
import dev.lionstore.state.StoreLayout;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A rule that counts steps gives each tensor the number of its own. */
class CountedStepsTest {
  private static final RuleSettings CONFIG = UpdateRules.required("adamw").settings();
  private static final double RATE = 0.01;

  /** More than a chunk, so that several threads step it. */
  private static final int COUNT = 1000;

  @TempDir Path folder;

  private Path create(GradientPlane plane) throws IOException {
    StoreLayout layout =
        new StoreLayout(
            UpdateRules.required("adamw"),
            Rounding.NEAREST,
            0,
            plane,
            List.of(ParameterGroup.ofDefaults()),
            List.of(
                tensor("a", TensorSpec.Role.TRAINABLE),
                tensor("b", TensorSpec.Role.TRAINABLE),
                tensor("c", TensorSpec.Role.FROZEN)));
    Path directory = folder.resolve("store");
    try (StoreBuilder builder =
        StoreBuilder.create(directory, layout, 256, StoreBuilder.DEFAULT_POSITION_CAPACITY)) {
      builder.setMaster(0, values(100), directory);
      builder.setMaster(1, values(100), directory);
      builder.finish(0, new byte[0]);
    }
    return directory;
  }

  private static TensorSpec tensor(String name, TensorSpec.Role role) {
    return new TensorSpec(name, List.of((long) COUNT), ParameterGroup.DEFAULT_NAME, role);
  }

  private static GradientValues values(int round) {
    MemorySegment data = Arena.ofAuto().allocate(COUNT * Float.BYTES, Float.BYTES);
    for (int i = 0; i < COUNT; i++) {
      data.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) StrictMath.sin(i * 0.7 + round));
    }
    return new GradientValues(ElementType.F32, data);
  }

  private static StepRequest request() {
    return StepRequest.of(CONFIG, RATE).withMissing(StepRequest.Missing.ALLOWED);
  }

  /** What rounds of gradients make of a tensor, by the formula, numbered from 1. */
  private static int[][] expected(int... rounds) {
    int[][] states = new int[COUNT][];
    double[] hyperparameters = CONFIG.hyperparameters(RATE, ParameterGroup.ofDefaults());
    for (int i = 0; i < COUNT; i++) {
      int[] state = {Float.floatToRawIntBits(values(100).get(i)), 0, 0};
      for (int n = 0; n < rounds.length; n++) {
        Coefficients k = UpdateRules.required("adamw").coefficients(hyperparameters, 1, n + 1L);
        UpdateRules.required("adamw")
            .interpreter()
            .prepare(k, Rounding.NEAREST)
            .apply(values(rounds[n]).get(i), state, new int[2]);
      }
      states[i] = state;
    }
    return states;
  }

  private static void assertState(int[][] expected, StateView view, int tensor) {
    List<Plane> planes = view.layout().planes();
    for (int i = 0; i < COUNT; i++) {
      short weights = view.values(planes.get(0), tensor).getAtIndex(ValueLayout.JAVA_SHORT, i);
      short remainder = view.values(planes.get(1), tensor).getAtIndex(ValueLayout.JAVA_SHORT, i);
      int at = i;
      assertEquals(expected[i][0], Master.bits(weights, remainder), () -> "element " + at);
      for (int p = 1; p < 3; p++) {
        MemorySegment values = view.values(planes.get(1 + p), tensor);
        assertEquals(
            expected[i][p],
            values.getAtIndex(ValueLayout.JAVA_INT, i),
            () -> "moment, element " + at);
      }
    }
  }

  @Test
  void aTensorWithoutAGradientDoesNotCountTheStep() throws IOException {
    Path directory = create(GradientPlane.F32);
    try (StateStore store = StateStore.open(directory)) {
      store.gradients().put(0, values(1));
      store.gradients().put(1, values(1));
      store.step(request());
      store.gradients().put(0, values(2));
      store.step(request());
    }
    try (StateStore store = StateStore.open(directory)) {
      assertEquals(2, store.stepCount(0));
      assertEquals(1, store.stepCount(1));
      store.gradients().put(0, values(3));
      store.gradients().put(1, values(3));
      store.step(request());
    }
    try (StoreReader reader = StoreReader.open(directory)) {
      assertEquals(3, reader.step());
      assertEquals(3, reader.stepCount(0));
      assertEquals(2, reader.stepCount(1));
      assertState(expected(1, 2, 3), reader, 0);
      assertState(expected(1, 3), reader, 1);
    }
  }

  @Test
  void aStreamedStepCountsForTheTensorsThatTookIt() throws IOException {
    Path directory = create(GradientPlane.NONE);
    try (StateStore store = StateStore.open(directory)) {
      StreamingStep first = store.beginStreaming(request());
      first.step(1, values(1));
      first.finish();
      StreamingStep second = store.beginStreaming(request());
      second.step(0, values(2));
      second.step(1, values(2));
      second.finish();
      assertEquals(1, store.stepCount(0));
      assertEquals(2, store.stepCount(1));
      assertState(expected(2), store, 0);
      assertState(expected(1, 2), store, 1);
    }
  }

  @ParameterizedTest
  @EnumSource(GradientPlane.class)
  void stepsThatAreTakenElsewhereCountForAllThatAreTrained(GradientPlane plane) throws IOException {
    Path directory = create(plane);
    try (StateStore store = StateStore.open(directory)) {
      store.refresh(5, new byte[0], _ -> {});
      assertEquals(5, store.stepCount(0));
    }
    try (StoreReader reader = StoreReader.open(directory)) {
      assertEquals(5, reader.stepCount(1));
      assertEquals(0, reader.stepCount(2), "frozen");
    }
  }

  @Test
  void shouldRefuseToMakeAStoreWithMoreStepsOfATensorThanOfAll() throws IOException {
    Path made = create(GradientPlane.F32);
    StoreLayout layout = StoreReader.layoutOf(made);
    try (StoreBuilder builder = StoreBuilder.create(folder.resolve("other"), layout)) {
      assertThrows(
          IllegalArgumentException.class, () -> builder.finish(3, t -> 3 + t, new byte[0]));
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = GradientPlane.class,
      names = {"NONE", "F32"})
  void aStepWhoseCoefficientsAreInfiniteIsRefusedAndChangesNothing(GradientPlane plane)
      throws IOException {
    UpdateRule ending =
        UpdateRule.of(
            """
            rule ending
            hyperparameters
              learning_rate lr = 0.1 >= 0
              weight_decay λ = 0 >= 0
            coefficients
              rate = lr / (3 - n)
            step
              θ' = θ - rate * g
            """);
    Path directory = folder.resolve("ending");
    StoreLayout layout =
        new StoreLayout(
            ending,
            Rounding.NEAREST,
            0,
            plane,
            List.of(ParameterGroup.ofDefaults()),
            List.of(tensor("a", TensorSpec.Role.TRAINABLE)));
    try (StoreBuilder builder = StoreBuilder.create(directory, layout)) {
      builder.finish(0, new byte[0]);
    }
    try (StateStore store = StateStore.open(directory)) {
      StepRequest request = StepRequest.of(ending.settings(), 0.1);
      for (int step = 0; step < 2; step++) {
        take(store, request, plane);
      }
      byte[] before = store.weights("a").toArray(ValueLayout.JAVA_BYTE);
      IllegalArgumentException refused =
          assertThrows(IllegalArgumentException.class, () -> take(store, request, plane));
      assertEquals(
          "rate is Infinity, which is beyond float32, in a tensor's step 3 (learning rate 0.1)",
          refused.getMessage());
      assertEquals(2, store.step());
      assertArrayEquals(before, store.weights("a").toArray(ValueLayout.JAVA_BYTE));
    }
  }

  private static void take(StateStore store, StepRequest request, GradientPlane plane)
      throws IOException {
    if (plane == GradientPlane.NONE) {
      StreamingStep step = store.beginStreaming(request);
      step.step(0, values(1));
      step.finish();
    } else {
      store.gradients().put(0, values(1));
      store.step(request);
    }
  }
}
