package dev.lionstore.store;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.Master;
import dev.lionstore.rule.Plane;
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
import java.util.Map;
import java.util.OptionalDouble;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Steps of rules that look at a tensor before they change any of it. */
class LooksTest {
  private static final UpdateRule CAUTIOUS = UpdateRules.required("cautious-lion");

  /** More than two blocks of sums. */
  private static final long LARGE = 140_001;

  private static final float RATE = 0.01f;

  /** On the disk that the tests run from: temporary files may be in memory. */
  @TempDir(factory = DirectStepTest.OnDisk.class)
  private Path folder;

  static Stream<UpdateRule> rules() {
    return UpdateRules.names().stream().map(UpdateRules::required).filter(r -> r.looks() > 0);
  }

  private static StoreLayout layout(UpdateRule rule, GradientPlane plane) {
    return new StoreLayout(
        rule,
        Rounding.NEAREST,
        7,
        plane,
        List.of(
            new ParameterGroup("norms", 0.5, OptionalDouble.of(0)), ParameterGroup.ofDefaults()),
        List.of(
            new TensorSpec("a.norm", List.of(700L), "norms", TensorSpec.Role.TRAINABLE),
            tensor("b.large", TensorSpec.Role.TRAINABLE, LARGE),
            tensor("c.empty", TensorSpec.Role.TRAINABLE, 0L),
            tensor("d.frozen", TensorSpec.Role.FROZEN, 100L),
            tensor("e.scalar", TensorSpec.Role.TRAINABLE)));
  }

  private static TensorSpec tensor(String name, TensorSpec.Role role, Long... shape) {
    return new TensorSpec(name, List.of(shape), ParameterGroup.DEFAULT_NAME, role);
  }

  private Path create(String name, StoreLayout layout, int chunkElements) throws IOException {
    Path directory = folder.resolve(name);
    try (StoreBuilder builder = StoreBuilder.create(directory, layout, chunkElements, 100)) {
      for (int t = 0; t < layout.tensors().size(); t++) {
        builder.setMaster(t, values(layout, t, -1), directory);
      }
      builder.finish();
    }
    return directory;
  }

  /** Values that bfloat16 holds exactly. */
  private static GradientValues values(StoreLayout layout, int tensor, int step) {
    SplittableRandom random = new SplittableRandom(1000L * tensor + step);
    long count = layout.tensors().get(tensor).count();
    MemorySegment data = Arena.ofAuto().allocate(count * Float.BYTES, Float.BYTES);
    for (long i = 0; i < count; i++) {
      int bits = Float.floatToRawIntBits((float) random.nextGaussian()) & 0xFFFF0000;
      data.setAtIndex(ValueLayout.JAVA_INT, i, bits);
    }
    return new GradientValues(ElementType.F32, data);
  }

  private static StepRequest request(UpdateRule rule) {
    return StepRequest.of(rule.settings().with("weight_decay", 0.1), RATE)
        .withMissing(StepRequest.Missing.ALLOWED);
  }

  private static void put(StateStore store, int step) {
    for (int t = 0; t < store.layout().tensors().size(); t++) {
      if (store.layout().tensors().get(t).trainable()) {
        store.gradients().put(t, values(store.layout(), t, step));
      }
    }
  }

  private byte[] run(Path directory, StoreOptions options) throws IOException {
    try (StateStore store = StateStore.open(directory, options)) {
      for (int step = 0; step < 2; step++) {
        put(store, step);
        store.step(request(store.layout().rule()));
      }
      return Stores.bytes(store);
    }
  }

  /** The formula of the paper, with nothing of the language. */
  @ParameterizedTest
  @ValueSource(strings = {"scalar", "vector"})
  void cautiousLionIsWhatItsPaperSays(String backend) throws IOException {
    StoreLayout layout = layout(CAUTIOUS, GradientPlane.F32);
    Path directory = create("store", layout, 4096);
    run(directory, StoreOptions.defaults().withBackend(backend));
    try (StoreReader reader = StoreReader.open(directory)) {
      for (int t : new int[] {0, 1, 4}) {
        assertCautious(reader, t, t == 0 ? 0.5f * RATE : RATE, t == 0 ? 0 : 0.1);
      }
    }
  }

  private static void assertCautious(StateView view, int tensor, float rate, double weightDecay) {
    int count = (int) view.layout().tensors().get(tensor).count();
    float[] master = new float[count];
    float[] momentum = new float[count];
    GradientValues masters = values(view.layout(), tensor, -1);
    for (int i = 0; i < count; i++) {
      master[i] = masters.get(i);
    }
    for (int step = 0; step < 2; step++) {
      GradientValues gradient = values(view.layout(), tensor, step);
      float[] update = new float[count];
      long agree = 0;
      for (int i = 0; i < count; i++) {
        float g = gradient.get(i);
        update[i] = Math.signum(Math.fma(g, (float) (1 - 0.9), momentum[i] * 0.9f));
        agree += update[i] * g > 0 ? 1 : 0;
      }
      float factor = (float) count / (agree + 1);
      float decay = (float) (1 - (double) rate * weightDecay);
      for (int i = 0; i < count; i++) {
        float g = gradient.get(i);
        float mask = update[i] * g > 0 ? factor : 0;
        master[i] = Math.fma(-rate, update[i] * mask, master[i] * decay);
        momentum[i] = bf16(Math.fma(g, (float) (1 - 0.99), momentum[i] * 0.99f));
      }
    }
    Plane plane = CAUTIOUS.statePlanes().getFirst();
    for (int i = 0; i < count; i++) {
      int at = i;
      short weights = view.values(Plane.WEIGHTS, tensor).getAtIndex(ValueLayout.JAVA_SHORT, i);
      short remainder = view.values(Plane.REMAINDER, tensor).getAtIndex(ValueLayout.JAVA_SHORT, i);
      assertEquals(
          Float.floatToRawIntBits(master[i]),
          Master.bits(weights, remainder),
          () -> "master " + at + " of tensor " + tensor);
      assertEquals(
          (short) (Float.floatToRawIntBits(momentum[i]) >>> 16),
          view.values(plane, tensor).getAtIndex(ValueLayout.JAVA_SHORT, i),
          () -> "momentum " + at + " of tensor " + tensor);
    }
  }

  private static float bf16(float value) {
    int bits = Float.floatToRawIntBits(value);
    return Float.intBitsToFloat((bits + 0x7FFF + (bits >>> 16 & 1)) & 0xFFFF0000);
  }

  @ParameterizedTest
  @MethodSource("rules")
  void theBitsAreThoseOfEveryWay(UpdateRule rule) throws IOException {
    StoreLayout kept = layout(rule, GradientPlane.BF16);
    StoreOptions one = StoreOptions.defaults().withThreads(1);
    byte[] expected = run(create("scalar", kept, 65_536), one.withBackend("scalar"));
    StoreOptions vector = one.withBackend("vector");
    assertArrayEquals(expected, run(create("vector", kept, 256), vector), "vectors");
    assertArrayEquals(
        expected, run(create("threads", kept, 1024), vector.withThreads(5)), "threads");
    assertArrayEquals(expected, run(create("auto", kept, 1024), StoreOptions.defaults()), "auto");
    assertArrayEquals(
        expected,
        run(create("direct", kept, 4096), one.withAccess(PlaneAccess.DIRECT)),
        "past the page cache");
    StoreLayout none = layout(rule, GradientPlane.NONE);
    assertArrayEquals(expected, run(create("unkept", none, 512), one), "without a gradient plane");
    try (StateStore store = StateStore.open(create("streamed", none, 512), vector)) {
      for (int step = 0; step < 2; step++) {
        StreamingStep streaming = store.beginStreaming(request(rule));
        for (int t : new int[] {4, 2, 1, 0}) {
          assertTrue(streaming.step(t, values(none, t, step)).isEmpty());
        }
        streaming.finish();
      }
      assertArrayEquals(expected, Stores.bytes(store), "streamed");
    }
  }

  @ParameterizedTest
  @MethodSource("rules")
  void aKilledStepIsFinishedWithWhatWasSeen(UpdateRule rule) throws IOException {
    StoreLayout layout = layout(rule, GradientPlane.BF16);
    StoreOptions one = StoreOptions.defaults().withThreads(1);
    byte[] expected;
    try (StateStore store = StateStore.open(create("whole", layout, 1024), one)) {
      put(store, 0);
      store.step(request(rule));
      expected = Stores.bytes(store);
    }
    for (int units : new int[] {0, 1, 11, 1000, 2198}) {
      Path directory = create("killed" + units, layout, 1024);
      try (StateStore store = StateStore.open(directory, one, new DyingParts(units))) {
        put(store, 0);
        assertThrows(DyingParts.Death.class, () -> store.step(request(rule)));
      }
      try (StateStore store = StateStore.open(directory, one.withThreads(2))) {
        assertEquals(1, store.step());
        assertArrayEquals(expected, Stores.bytes(store), units + " units");
      }
    }
  }

  @Test
  void microBatchesAreLookedAtTogether() throws IOException {
    StoreLayout layout = layout(CAUTIOUS, GradientPlane.F32);
    byte[] expected;
    GradientValues sum = values(layout, 1, 0);
    GradientValues second = values(layout, 1, 1);
    for (long i = 0; i < sum.count(); i++) {
      sum.data().setAtIndex(ValueLayout.JAVA_FLOAT, i, sum.get(i) + second.get(i));
    }
    try (StateStore store = StateStore.open(create("sum", layout, 1024))) {
      store.gradients().put(1, sum);
      store.step(request(CAUTIOUS).withScale(1, 2));
      expected = Stores.bytes(store);
    }
    try (StateStore store = StateStore.open(create("batches", layout, 1024))) {
      store.gradients().accumulate(1, values(layout, 1, 0));
      store.gradients().accumulate(1, second);
      store.step(request(CAUTIOUS).withScale(1, 2));
      assertArrayEquals(expected, Stores.bytes(store));
    }
  }

  @Test
  void groupsOfOtherRulesAreSteppedBesideIt() throws IOException {
    UpdateRule adamw = UpdateRules.required("adamw");
    for (UpdateRule rule : List.of(CAUTIOUS, adamw)) {
      UpdateRule other = rule.equals(adamw) ? CAUTIOUS : adamw;
      StoreLayout alike = layout(rule, GradientPlane.F32);
      StoreLayout mixed = alike.withRule("norms", other);
      try (StateStore one = StateStore.open(create(rule + "-one", alike, 1024));
          StateStore two = StateStore.open(create(rule + "-two", mixed, 1024))) {
        put(one, 0);
        one.step(request(rule));
        put(two, 0);
        two.step(request(rule).withRule(other.settings()));
        for (Plane plane : rule.allPlanes()) {
          assertEquals(-1, one.values(plane, 1).mismatch(two.values(plane, 1)), plane.name());
        }
        assertTrue(one.values(Plane.WEIGHTS, 0).mismatch(two.values(Plane.WEIGHTS, 0)) >= 0);
      }
    }
  }

  @Test
  void whatALookMakesInfiniteRefusesTheStepAndChangesNothing() throws IOException {
    UpdateRule rule =
        UpdateRule.of(
            """
            rule divides
            hyperparameters
              learning_rate lr = 0.1 >= 0
              weight_decay λ = 0 >= 0
            look
              k = max(g)
            step
              θ' = θ - lr * (g * (1 / (1 - k)))
            """);
    for (GradientPlane plane : List.of(GradientPlane.F32, GradientPlane.NONE)) {
      StoreLayout layout = layout(rule, plane);
      try (StateStore store = StateStore.open(create("refused" + plane, layout, 1024))) {
        byte[] before = Stores.bytes(store);
        GradientValues ones = new GradientValues(ElementType.F32, Arena.ofAuto().allocate(4, 4));
        ones.data().set(ValueLayout.JAVA_FLOAT, 0, 1);
        store.gradients().put(4, ones);
        IllegalArgumentException refused =
            assertThrows(IllegalArgumentException.class, () -> store.step(request(rule)));
        String said = String.valueOf(refused.getMessage());
        assertTrue(said.startsWith("tensor e.scalar: "), said);
        assertTrue(said.endsWith(" is Infinity, which is beyond float32"), said);
        assertArrayEquals(before, Stores.bytes(store));
        store.gradients().discard();
        store.gradients().putAll(Map.of(0, values(layout, 0, 0)));
        assertTrue(store.step(request(rule)) instanceof StepResult.Applied);
      }
    }
  }

  @Test
  void roundingLossIsOfTheStepThatWouldBeTaken() throws IOException {
    StoreLayout layout = layout(CAUTIOUS, GradientPlane.F32);
    try (StateStore store = StateStore.open(create("loss", layout, 1024))) {
      put(store, 0);
      RoundingLoss loss = store.roundingLoss(request(CAUTIOUS));
      assertTrue(loss.changes() > 0, loss::toString);
      assertEquals(0, store.step());
    }
  }
}
