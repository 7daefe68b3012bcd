package dev.lionstore.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.BlockCode;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StoreLayout;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RoundingLossTest {
  private static final int COUNT = 4096;

  @TempDir Path folder;

  private StateStore open(UpdateRule rule, Rounding rounding) throws IOException {
    return open(rule, rounding, List.of(tensor("w", COUNT)));
  }

  private static TensorSpec tensor(String name, long count) {
    return new TensorSpec(
        name, List.of(count), ParameterGroup.DEFAULT_NAME, TensorSpec.Role.TRAINABLE);
  }

  private StateStore open(UpdateRule rule, Rounding rounding, List<TensorSpec> tensors)
      throws IOException {
    StoreLayout layout =
        new StoreLayout(
            rule, rounding, 0, GradientPlane.F32, List.of(ParameterGroup.ofDefaults()), tensors);
    Path store = folder.resolve(rule.name() + rounding);
    try (StoreBuilder builder = StoreBuilder.create(store, layout)) {
      builder.finish(0, new byte[0]);
    }
    return StateStore.open(store);
  }

  private static void put(StateStore store, float every, float other) {
    for (int t = 0; t < store.layout().tensors().size(); t++) {
      long count = store.layout().tensors().get(t).count();
      MemorySegment data = Arena.ofAuto().allocate(count * Float.BYTES, Float.BYTES);
      for (long i = 0; i < count; i++) {
        data.setAtIndex(ValueLayout.JAVA_FLOAT, i, i % 4 == 0 ? other : every);
      }
      store.gradients().put(t, new GradientValues(ElementType.F32, data));
    }
  }

  private static StepRequest request(StateStore store) {
    return StepRequest.of(store.layout().rule().settings().with("beta2", 0.99), 0.01);
  }

  /** Momentum 1; a gradient of 1.1 moves it by a thousandth, a bfloat16 there is 1/128 apart. */
  @Test
  void aChangeThatRoundsBackIsLost() throws IOException {
    try (StateStore store = open(UpdateRules.LION, Rounding.NEAREST)) {
      put(store, 100, 100);
      store.step(request(store));
      put(store, 1.1f, 1);
      RoundingLoss swallowed = store.roundingLoss(request(store));
      assertEquals(new RoundingLoss(COUNT / 4 * 3, COUNT / 4 * 3), swallowed);
      byte[] before = Stores.bytes(store);
      store.step(request(store));
      assertTrue(before.length > 0);
      assertEquals(1f, store.layout().planes().get(2).read(momentum(store)));
      put(store, 50, 1);
      assertEquals(0, store.roundingLoss(request(store)).share());
    }
  }

  private static short momentum(StateStore store) {
    return store
        .values(UpdateRules.LION.statePlanes().getFirst(), 0)
        .getAtIndex(ValueLayout.JAVA_SHORT, 1);
  }

  @Test
  void stochasticRoundingLosesSomeOfThem() throws IOException {
    try (StateStore store = open(UpdateRules.LION, Rounding.STOCHASTIC)) {
      put(store, 100, 100);
      store.step(request(store));
      put(store, 1.1f, 1.1f);
      // A thousandth upwards is taken with a probability of 0.128.
      RoundingLoss swallowed = store.roundingLoss(request(store));
      assertEquals(0.872, swallowed.share(), 0.05);
      store.step(request(store));
      MemorySegment momentum = store.values(UpdateRules.LION.statePlanes().getFirst(), 0);
      long kept =
          IntStream.range(0, COUNT)
              .mapToObj(i -> momentum.getAtIndex(ValueLayout.JAVA_SHORT, i))
              .filter(bits -> UpdateRules.LION.statePlanes().getFirst().read(bits) == 1)
              .count();
      assertEquals(kept, swallowed.lost(), "told before, and done");
    }
  }

  /** Of the larger tensor every other value is looked at. */
  @Test
  void eachTensorCountsByAtMost4096OfItsValuesAndScaledGradients() throws IOException {
    List<TensorSpec> tensors = List.of(tensor("v", COUNT), tensor("w", 2 * COUNT));
    try (StateStore store = open(UpdateRules.LION, Rounding.NEAREST, tensors)) {
      put(store, 100, 100);
      store.step(request(store));
      put(store, 2.2f, 2);
      long lost = COUNT / 4 * 3 + COUNT / 2;
      assertEquals(
          new RoundingLoss(lost, lost), store.roundingLoss(request(store).withScale(2, 1)));
    }
  }

  @Test
  void momentumInFloat32LosesNothing() throws IOException {
    for (UpdateRule rule :
        List.of(UpdateRules.required("lion-f32"), UpdateRules.required("adamw"))) {
      try (StateStore store = open(rule, Rounding.NEAREST)) {
        put(store, 1, 2);
        assertEquals(new RoundingLoss(0, 0), store.roundingLoss(request(store)));
      }
    }
  }

  /** What is told before a step of 8-bit states is what the step does, in every plane. */
  @ParameterizedTest
  @CsvSource({
    "lion-8bit, NEAREST",
    "lion-8bit, STOCHASTIC",
    "adamw-8bit, NEAREST",
    "adamw-8bit, STOCHASTIC"
  })
  void blocksLoseWhatIsTold(String name, Rounding rounding) throws IOException {
    UpdateRule rule = UpdateRules.required(name);
    int count = COUNT - 7;
    try (StateStore store = open(rule, rounding, List.of(tensor("w", count)))) {
      StepRequest request = StepRequest.of(rule.settings(), 0.01);
      // The largest of each block's momentum stays what it is, and so does the scale.
      boolean isLion = name.startsWith("lion");
      put(store, 1, 100);
      store.step(request);
      put(store, isLion ? 0.02f : 0.11f, isLion ? 1 : 10);
      RoundingLoss told = store.roundingLoss(request);
      float[][] before = decoded(store, rule, count);
      store.step(request);
      float[][] after = decoded(store, rule, count);
      long moved = 0;
      for (int p = 0; p < before.length; p++) {
        for (int i = 0; i < count; i++) {
          moved += before[p][i] == after[p][i] ? 0 : 1;
        }
      }
      assertEquals(moved, told.changes() - told.lost());
      assertTrue(told.lost() > 0, told::toString);
    }
  }

  private static float[][] decoded(StateStore store, UpdateRule rule, int count) {
    List<Plane> planes = rule.statePlanes();
    float[][] all = new float[planes.size()][count];
    for (int p = 0; p < all.length; p++) {
      BlockCode code = new BlockCode(planes.get(p).type());
      for (int i = 0; i < count; i++) {
        all[p][i] = code.value(store.values(planes.get(p), 0), i);
      }
    }
    return all;
  }
}
