package dev.lionstore.store;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.Condition;
import dev.lionstore.state.StateView;
import dev.lionstore.state.StoreLayout;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.AnnotatedElementContext;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.io.TempDirFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Stores whose groups are stepped by rules of their own. */
class GroupRulesTest {
  private static final int STEPS = 3;

  /** Steps past the page cache need a disk: temporary files may be in memory. */
  @TempDir(factory = OnDisk.class)
  private Path folder;

  static final class OnDisk implements TempDirFactory {
    @Override
    public Path createTempDirectory(AnnotatedElementContext element, ExtensionContext context)
        throws IOException {
      return Files.createTempDirectory(Files.createDirectories(Path.of("target")), "groups-");
    }
  }

  private static void assertStates(List<byte[]> expected, StateView view) {
    List<byte[]> found = GroupedStores.found(view);
    for (int t = 0; t < expected.size(); t++) {
      String name = view.layout().tensors().get(t).name();
      assertArrayEquals(expected.get(t), found.get(t), name);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "F32, NEAREST, auto, 1, MAPPED",
    "F32, STOCHASTIC, vector, 3, MAPPED",
    "BF16, STOCHASTIC, scalar, 2, MAPPED",
    "NONE, NEAREST, vector, 2, MAPPED",
    "F32, STOCHASTIC, vector, 1, DIRECT",
    "BF16, NEAREST, scalar, 3, DIRECT",
    "NONE, STOCHASTIC, vector, 2, DIRECT"
  })
  void eachTensorTakesTheStepsOfItsGroupsRule(
      GradientPlane plane, Rounding rounding, String backend, int threads, PlaneAccess access)
      throws IOException {
    GroupedStores stores = new GroupedStores(plane, rounding);
    Path directory = stores.create(folder.resolve("store"));
    StoreOptions options =
        StoreOptions.defaults().withBackend(backend).withThreads(threads).withAccess(access);
    for (int step = 0; step < STEPS; step++) {
      try (StateStore store = StateStore.open(directory, options)) {
        stores.put(store, step);
        store.step(GroupedStores.REQUEST);
      }
    }
    try (StoreReader reader = StoreReader.openAtRest(directory)) {
      assertEquals(STEPS, reader.stepCount(0));
      assertEquals(STEPS - 1, reader.stepCount(GroupedStores.SOMETIMES));
      assertStates(stores.expected(STEPS), reader);
    }
  }

  @ParameterizedTest
  @EnumSource(Rounding.class)
  void streamedTensorsTakeTheStepsOfTheirGroupsRule(Rounding rounding) throws IOException {
    GroupedStores stores = new GroupedStores(GradientPlane.NONE, rounding);
    try (StateStore store = StateStore.open(stores.create(folder.resolve("store")))) {
      for (int step = 0; step < STEPS; step++) {
        StreamingStep streaming = store.beginStreaming(GroupedStores.REQUEST);
        List<Integer> order = stores.gradients(step).reversed();
        for (int t : order) {
          streaming.step(t, stores.values(t, step));
        }
        streaming.finish();
      }
      assertStates(stores.expected(STEPS), store);
    }
  }

  /** Wherever a worker dies: units of 8, 12 and 4 bytes an element lie in its slot. */
  @ParameterizedTest
  @EnumSource(Rounding.class)
  void aStepThatWasKilledIsFinishedByTheRules(Rounding rounding) throws IOException {
    GroupedStores stores = new GroupedStores(GradientPlane.F32, rounding);
    Path original = stores.create(folder.resolve("original"));
    List<byte[]> expected = stores.expected(1);
    int kills = 0;
    for (boolean finished = false; !finished; kills++) {
      Path killed = Stores.copy(original, folder.resolve("killed"));
      StoreOptions options = StoreOptions.defaults().withThreads(1);
      try (StateStore store = StateStore.open(killed, options, new DyingParts(kills))) {
        stores.put(store, 0);
        finished = store.step(GroupedStores.REQUEST) instanceof StepResult.Applied;
      } catch (DyingParts.Death e) {
        // What it leaves is what a killed process leaves.
      }
      try (StateStore store = StateStore.open(killed)) {
        assertEquals(finished, store.found().state() == Condition.State.CLEAN);
        assertStates(expected, store);
      }
    }
    assertTrue(kills > 50, kills + " kills");
  }

  @ParameterizedTest
  @EnumSource(GradientPlane.class)
  void planesHoldTheTensorsOfRulesThatHaveThem(GradientPlane plane) throws IOException {
    StoreLayout layout = new GroupedStores(plane, Rounding.NEAREST).layout();
    Path directory = new GroupedStores(plane, Rounding.NEAREST).create(folder.resolve("store"));
    assertEquals(
        List.of("weights", "remainder", "sign-momentum", "momentum", "second-moment"),
        layout.planes().stream().map(Plane::name).toList());
    Map<String, Long> sizes = new TreeMap<>(StoreSize.of(layout, 256, 100).files());
    for (Map.Entry<String, Long> file : sizes.entrySet()) {
      assertEquals(file.getValue(), Files.size(directory.resolve(file.getKey())), file.getKey());
    }
    try (Stream<Path> files = Files.list(directory)) {
      assertEquals(sizes.size(), files.count());
    }
    try (StoreReader reader = StoreReader.open(directory)) {
      assertEquals(layout, reader.layout());
      for (int t = 0; t < layout.tensors().size(); t++) {
        TensorSpec spec = layout.tensors().get(t);
        for (Plane each : layout.planes()) {
          long values = layout.planesOf(spec).contains(each) ? spec.count() : 0;
          assertEquals(each.type().bytes(values), reader.values(each, t).byteSize());
        }
      }
    }
  }

  @Test
  void valuesOfEveryTensorAreItsOwn() throws IOException {
    GroupedStores stores = new GroupedStores(GradientPlane.F32, Rounding.NEAREST);
    Path directory = folder.resolve("filled");
    StoreLayout layout = stores.layout();
    try (StoreBuilder builder = StoreBuilder.create(directory, layout, 256, 0)) {
      for (int t = 0; t < layout.tensors().size(); t++) {
        for (Plane plane : layout.planesOf(layout.tensors().get(t))) {
          builder.values(plane, t).fill((byte) (t + 1));
        }
      }
      builder.finish();
    }
    try (StateStore store = StateStore.open(directory)) {
      for (int t = 0; t < layout.tensors().size(); t++) {
        for (Plane plane : layout.planesOf(layout.tensors().get(t))) {
          byte own = (byte) (t + 1);
          byte[] values = store.values(plane, t).toArray(java.lang.foreign.ValueLayout.JAVA_BYTE);
          for (byte value : values) {
            assertEquals(own, value);
          }
          if (values.length > 0) {
            byte[] file = Files.readAllBytes(directory.resolve(plane.name() + ".plane"));
            assertEquals(own, file[(int) store.fileOffset(plane, t)]);
          }
        }
      }
      assertThrows(
          IllegalArgumentException.class,
          () -> store.fileOffset(GroupedStores.NORMS.statePlanes().getFirst(), 1));
    }
  }

  @Test
  void shouldRefuseAStepWithoutSettingsOfARuleAndNameIt() throws IOException {
    GroupedStores stores = new GroupedStores(GradientPlane.F32, Rounding.NEAREST);
    try (StateStore store = StateStore.open(stores.create(folder.resolve("store")))) {
      stores.put(store, 0);
      StepRequest some =
          StepRequest.of(GroupedStores.MATRICES.settings(), 0.01)
              .withRule(GroupedStores.NORMS.settings());
      assertRefused("no settings for rule sgd of group embeddings", store, some);
      StepRequest more = GroupedStores.REQUEST.withRule(UpdateRules.LION.settings());
      assertRefused("settings for rule lion, the store is of rules", store, more);
      assertEquals(0, store.step());
      assertEquals(0, store.roundingLoss(GroupedStores.REQUEST).lost(), "states are 0");
    }
  }

  private static void assertRefused(String words, StateStore store, StepRequest request) {
    IllegalArgumentException refused =
        assertThrows(IllegalArgumentException.class, () -> store.step(request));
    assertTrue(String.valueOf(refused.getMessage()).contains(words), refused::getMessage);
  }

  @Test
  void aStoreOfOneRuleTakesOneRulesSettings() throws IOException {
    Stores stores = new Stores(folder, GradientPlane.F32, Rounding.NEAREST);
    try (StateStore store = StateStore.open(stores.create("one", 256))) {
      stores.putGradients(store, 0);
      assertRefused(
          "the step is for rule lion, adamw, the store is of rule lion",
          store,
          Stores.request().withRule(GroupedStores.NORMS.settings()));
      store.step(Stores.request().withRule(UpdateRules.LION.settings().with("weight_decay", 0.1)));
    }
  }

  /** Rounding loses changes of the matrices' states alone. */
  @Test
  void roundingLossIsOfTensorsWhoseStateIsRounded() throws IOException {
    GroupedStores stores = new GroupedStores(GradientPlane.F32, Rounding.NEAREST);
    try (StateStore store = StateStore.open(stores.create(folder.resolve("store")))) {
      stores.put(store, 0);
      store.step(GroupedStores.REQUEST);
      stores.put(store, 1);
      assertEquals(1517 + 1 + 1000, store.roundingLoss(GroupedStores.REQUEST).changes());
    }
  }

  @Test
  void momentumIsSetWhereThereIsSome() throws IOException {
    GroupedStores stores = new GroupedStores(GradientPlane.F32, Rounding.NEAREST);
    Path directory = folder.resolve("store");
    try (StoreBuilder builder = StoreBuilder.create(directory, stores.layout())) {
      builder.setMomentum(0, stores.values(0, 1));
      builder.setMomentum(1, stores.values(1, 1));
      IllegalArgumentException refused =
          assertThrows(
              IllegalArgumentException.class, () -> builder.setMomentum(2, stores.values(2, 1)));
      assertEquals(
          "tensor c.embedding has no momentum: rule sgd keeps no state", refused.getMessage());
      builder.finish();
    }
    try (StoreReader reader = StoreReader.open(directory)) {
      Plane momentum = GroupedStores.NORMS.statePlanes().getFirst();
      float first = reader.values(momentum, 0).get(java.lang.foreign.ValueLayout.JAVA_FLOAT, 0);
      assertEquals(stores.values(0, 1).get(0), first);
    }
  }

  /** The store's own rule steps nothing: its states have no planes, and it has no kernel. */
  @Test
  void aRuleThatNoTrainedTensorHasCostsNothing() throws IOException {
    StoreLayout some =
        new GroupedStores(GradientPlane.F32, Rounding.NEAREST)
            .layout()
            .matching(name -> name.contains("embedding") || name.contains("frozen"));
    assertEquals(Plane.MASTER, some.planes());
    Path directory = folder.resolve("some");
    try (StoreBuilder builder = StoreBuilder.create(directory, some)) {
      builder.finish();
    }
    assertFalse(Files.exists(directory.resolve("momentum.plane")));
    GroupedStores stores = new GroupedStores(GradientPlane.F32, Rounding.NEAREST);
    try (StateStore store = StateStore.open(directory)) {
      store.gradients().put(0, stores.values(2, 0));
      store.step(GroupedStores.REQUEST);
      assertEquals(1, store.step());
    }
  }

  @Test
  void aRedundantGroupRuleIsNone() {
    Stores stores = new Stores(folder, GradientPlane.F32, Rounding.NEAREST);
    StoreLayout same = stores.layout().withRule("norms", UpdateRules.LION);
    assertEquals(stores.layout(), same);
    assertEquals(Collections.emptyMap(), same.groupRules());
    UpdateRule other = UpdateRules.required("lion-bf16");
    assertEquals(List.of(UpdateRules.LION, other), same.withRule("norms", other).rules());
  }
}
