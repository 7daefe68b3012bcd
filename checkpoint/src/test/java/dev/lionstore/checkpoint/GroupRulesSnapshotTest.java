package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StepRequest;
import dev.lionstore.store.StoreBuilder;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Snapshots of stores whose groups are stepped by rules of their own. */
class GroupRulesSnapshotTest {
  private static final int COUNT = 300;
  private static final UpdateRule LION = UpdateRules.required("lion-f32");
  private static final UpdateRule ADAMW = UpdateRules.required("adamw");

  /** It calls its momentum otherwise than adamw does. */
  private static final UpdateRule RMSPROP = UpdateRules.required("rmsprop-momentum");

  private static final UpdateRule SGD = UpdateRules.required("sgd");

  @TempDir Path folder;

  private static StoreLayout layout(Map<String, UpdateRule> groupRules) {
    return new StoreLayout(
        LION,
        Rounding.STOCHASTIC,
        3,
        GradientPlane.F32,
        List.of(
            ParameterGroup.ofDefaults(),
            new ParameterGroup("norms", 1, OptionalDouble.empty()),
            new ParameterGroup("biases", 1, OptionalDouble.empty()),
            new ParameterGroup("embeddings", 1, OptionalDouble.empty())),
        List.of(
            tensor("bias", "biases", TensorSpec.Role.TRAINABLE),
            tensor("embedding", "embeddings", TensorSpec.Role.TRAINABLE),
            tensor("frozen", "norms", TensorSpec.Role.FROZEN),
            tensor("matrix", "default", TensorSpec.Role.TRAINABLE),
            tensor("norm", "norms", TensorSpec.Role.TRAINABLE)),
        groupRules);
  }

  private static TensorSpec tensor(String name, String group, TensorSpec.Role role) {
    return new TensorSpec(name, List.of((long) COUNT), group, role);
  }

  private Path create(String name, Map<String, UpdateRule> groupRules) throws IOException {
    Path store = folder.resolve(name);
    try (StoreBuilder builder = StoreBuilder.create(store, layout(groupRules), 256, 1000)) {
      for (int t = 0; t < builder.layout().tensors().size(); t++) {
        builder.setMaster(t, values(t));
      }
      builder.finish();
    }
    return store;
  }

  private Path create(String name) throws IOException {
    return create(name, Map.of("norms", ADAMW, "biases", RMSPROP, "embeddings", SGD));
  }

  private static GradientValues values(int round) {
    MemorySegment data = Arena.ofAuto().allocate(COUNT * Float.BYTES, Float.BYTES);
    for (int i = 0; i < COUNT; i++) {
      data.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) StrictMath.sin(i + round));
    }
    return new GradientValues(ElementType.F32, data);
  }

  private static void step(Path store) throws IOException {
    try (StateStore open = StateStore.open(store)) {
      StepRequest request = StepRequest.of(LION.settings(), 0.01);
      for (UpdateRule rule : open.layout().rules()) {
        request = request.withRule(rule.settings());
      }
      for (int t = 0; t < open.layout().tensors().size(); t++) {
        if (open.layout().tensors().get(t).trainable()) {
          open.gradients().put(t, values(10 + t));
        }
      }
      open.step(request);
    }
  }

  private Path snapshot(Path store) throws IOException {
    try (StoreReader reader = StoreReader.open(store);
        CarriedContent carried = CarriedContent.ofStore(reader)) {
      return SnapshotWriter.write(
          reader,
          carried,
          folder.resolve(store.getFileName() + " snapshots"),
          SnapshotOptions.defaults(),
          _ -> {});
    }
  }

  @Test
  void aSnapshotGoesOnAsTheStoreDoes() throws IOException {
    Path store = create("store");
    step(store);
    Path restored = folder.resolve("restored");
    Path part = folder.resolve("part");
    try (Snapshot snapshot = Snapshot.open(snapshot(store));
        StoreReader reader = StoreReader.open(store);
        CarriedContent carried = CarriedContent.ofStore(reader)) {
      snapshot.verify(_ -> {});
      assertEquals(reader.layout(), snapshot.layout());
      assertTrue(snapshot.holds(reader, carried, _ -> {}));
      assertEquals(Models.hash(store), ContentHash.of(snapshot, _ -> {}));
      snapshot.restore(restored, 512, _ -> {});
      snapshot.restore(part, 256, "embedding"::equals, _ -> {});
    }
    assertEquals(Models.hash(store), Models.hash(restored));
    step(store);
    step(restored);
    assertEquals(Models.hash(store), Models.hash(restored));
    assertFalse(Files.exists(part.resolve("momentum.plane")), "sgd has none");
    try (StoreReader some = StoreReader.open(part)) {
      assertEquals(SGD, some.layout().ruleOf("embeddings"));
      assertEquals(1, some.stepCount(0));
    }
  }

  /** Each tensor's states are called as its own rule calls them in PyTorch. */
  @Test
  void statesAreNamedByTheirRule() throws IOException {
    Path store = create("store");
    step(store);
    try (Snapshot snapshot = Snapshot.open(snapshot(store))) {
      String json = Files.readString(snapshot.directory().resolve(Manifest.NAME));
      assertEquals(3, json.split("\"formula\" : \"rule ", -1).length - 1, "of groups");
      byte[] optimizer = Files.readAllBytes(snapshot.directory().resolve("optimizer.safetensors"));
      String header = new String(optimizer, java.nio.charset.StandardCharsets.ISO_8859_1);
      assertTrue(header.contains("\"bias.momentum_buffer\""));
      assertTrue(header.contains("\"norm.exp_avg_sq\""));
      assertFalse(header.contains("\"embedding.exp_avg\""));
    }
  }

  @Test
  void theHashAndEqualityDependOnEveryGroupsRule() throws IOException {
    Set<String> hashes = new HashSet<>();
    List<Map<String, UpdateRule>> all =
        List.of(
            Map.of(),
            Map.of("norms", SGD),
            Map.of("biases", SGD),
            Map.of("embeddings", SGD),
            Map.of("norms", SGD, "biases", SGD),
            Map.of("norms", RMSPROP));
    for (int i = 0; i < all.size(); i++) {
      hashes.add(Models.hash(create("store " + i, all.get(i))));
    }
    assertEquals(all.size(), hashes.size());
    try (Snapshot snapshot = Snapshot.open(snapshot(folder.resolve("store 1")));
        StoreReader reader = StoreReader.open(folder.resolve("store 2"));
        CarriedContent carried = CarriedContent.ofStore(reader)) {
      assertFalse(snapshot.holds(reader, carried, _ -> {}));
      assertNotEquals(reader.layout(), snapshot.layout());
    }
  }

  @Test
  void aStoreOfOneRuleHasTheManifestAndHashOfBefore() throws IOException {
    Path store = create("one", Map.of());
    String json = Files.readString(snapshot(store).resolve(Manifest.NAME));
    assertFalse(json.contains("formula"));
    assertEquals(1, json.split("\"rule\"", -1).length - 1);
    assertEquals(
        "b6d125fe4a277731f4ebdf5f0121f53e703530d27df0e59ce33fa11ea597c411", Models.hash(store));
  }

  @Test
  void momentumFromElsewhereIsForLionAlone() throws IOException {
    Path store = create("store");
    step(store);
    try (Momentum momentum = Momentum.open(snapshot(store))) {
      StoreLayout lion =
          new StoreLayout(
              UpdateRules.LION,
              Rounding.NEAREST,
              0,
              GradientPlane.F32,
              layout(Map.of()).groups(),
              layout(Map.of()).tensors(),
              Map.of("embeddings", SGD));
      IllegalArgumentException refused =
          assertThrows(IllegalArgumentException.class, () -> momentum.plan(lion));
      assertTrue(String.valueOf(refused.getMessage()).contains("rule sgd"), refused::getMessage);
    }
  }
}
