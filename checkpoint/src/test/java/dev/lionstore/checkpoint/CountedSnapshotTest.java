package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.ElementType;
import dev.lionstore.FormatException;
import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StateView;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StepRequest;
import dev.lionstore.store.StoreBuilder;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Snapshots of every rule, and of one that counts each tensor's steps. */
class CountedSnapshotTest {
  private static final int COUNT = 300;

  @TempDir Path folder;

  static Stream<String> rules() {
    return UpdateRules.all().stream().map(UpdateRule::name);
  }

  private Path create(UpdateRule rule) throws IOException {
    List<TensorSpec> tensors =
        Stream.of("a", "b", "c")
            .map(name ->
                new TensorSpec(
                    name,
                    List.of((long) COUNT),
                    ParameterGroup.DEFAULT_NAME,
                    name.equals("c") ? TensorSpec.Role.FROZEN : TensorSpec.Role.TRAINABLE))
            .toList();
    StoreLayout layout =
        new StoreLayout(
            rule,
            Rounding.STOCHASTIC,
            3,
            GradientPlane.F32,
            List.of(ParameterGroup.ofDefaults()),
            tensors);
    Path store = folder.resolve("store");
    try (StoreBuilder builder = StoreBuilder.create(store, layout)) {
      for (int t = 0; t < 3; t++) {
        builder.setMaster(t, values(t), store);
      }
      builder.finish(0, new byte[0]);
    }
    return store;
  }

  private static GradientValues values(int round) {
    MemorySegment data = Arena.ofAuto().allocate(COUNT * Float.BYTES, Float.BYTES);
    for (int i = 0; i < COUNT; i++) {
      data.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) StrictMath.sin(i + round));
    }
    return new GradientValues(ElementType.F32, data);
  }

  /** Two steps of tensor a, of which b takes the second alone. */
  private static void step(Path store) throws IOException {
    try (StateStore open = StateStore.open(store)) {
      StepRequest request =
          StepRequest.of(open.layout().rule().settings(), 0.01)
              .withMissing(StepRequest.Missing.ALLOWED);
      open.gradients().put(0, values(10));
      open.step(request);
      open.gradients().put(0, values(11));
      open.gradients().put(1, values(12));
      open.step(request);
    }
  }

  private Path snapshot(Path store) throws IOException {
    try (StoreReader reader = StoreReader.open(store);
        CarriedContent carried = CarriedContent.ofStore(reader)) {
      return SnapshotWriter.write(
          reader, carried, folder.resolve("snapshots"), SnapshotOptions.defaults(), _ -> {});
    }
  }

  @ParameterizedTest
  @MethodSource("rules")
  void aSnapshotGoesOnAsTheStoreDoes(String rule) throws IOException {
    Path store = create(UpdateRules.named(rule).orElseThrow());
    step(store);
    Path restored = folder.resolve("restored");
    try (Snapshot snapshot = Snapshot.open(snapshot(store))) {
      snapshot.verify(_ -> {});
      snapshot.restore(restored, 256, _ -> {});
      assertEquals(Models.hash(store), ContentHash.of(snapshot, _ -> {}));
    }
    assertEquals(Models.hash(store), Models.hash(restored));
    step(store);
    step(restored);
    assertEquals(Models.hash(store), Models.hash(restored));
  }

  @Test
  void eachTensorsStepsAreKept() throws IOException {
    Path store = create(UpdateRules.required("adamw"));
    step(store);
    try (Snapshot snapshot = Snapshot.open(snapshot(store));
        StoreReader reader = StoreReader.open(store);
        CarriedContent carried = CarriedContent.ofStore(reader)) {
      assertEquals(List.of(2L, 1L, 0L), counts(snapshot));
      assertEquals(counts(snapshot), counts(reader));
      assertTrue(snapshot.holds(reader, carried, _ -> {}));
      Path part = folder.resolve("part");
      snapshot.restore(part, 256, name -> !name.equals("a"), _ -> {});
      try (StoreReader some = StoreReader.open(part)) {
        assertEquals(List.of(1L, 0L), counts(some));
      }
      assertEquals(List.of(1L), counts(Subset.of(reader, Pattern.compile("b"))));
    }
  }

  private static List<Long> counts(StateView view) {
    return Stream.iterate(0, t -> t < view.layout().tensors().size(), t -> t + 1)
        .map(view::stepCount)
        .toList();
  }

  @Test
  void theHashAndEqualityDependOnTheCounts() throws IOException {
    StoreLayout layout = StoreReader.layoutOf(create(UpdateRules.required("adamw")));
    Path one = folder.resolve("one");
    Path two = folder.resolve("two");
    for (Path store : List.of(one, two)) {
      try (StoreBuilder builder = StoreBuilder.create(store, layout)) {
        builder.finish(2, t -> store.equals(one) && t == 1 ? 1 : 2, new byte[0]);
      }
    }
    assertNotEquals(Models.hash(one), Models.hash(two));
    try (Snapshot snapshot = Snapshot.open(snapshot(one));
        StoreReader reader = StoreReader.open(two);
        CarriedContent carried = CarriedContent.ofStore(reader)) {
      assertFalse(snapshot.holds(reader, carried, _ -> {}));
    }
  }

  @Test
  void shouldRefuseCountsThatCannotBe() throws IOException {
    Path store = create(UpdateRules.required("adamw"));
    step(store);
    Path snapshot = snapshot(store);
    Path file = snapshot.resolve(Manifest.NAME);
    String text = Files.readString(file);
    for (String count : List.of("3", "-1", "null", "1.0", "\"1\"")) {
      refuse(snapshot, text.replace("\"step_count\" : 1", "\"step_count\" : " + count));
    }
    refuse(snapshot, text.replace(",\n    \"step_count\" : 1", ""));
    refuse(snapshot, text.replace("\"adamw\"", "\"lion\""));
  }

  private static void refuse(Path snapshot, String text) throws IOException {
    int end = text.lastIndexOf(",\n  \"crc32c\"");
    byte[] body = text.substring(0, end).getBytes(StandardCharsets.UTF_8);
    CRC32C crc = new CRC32C();
    crc.update(body);
    String sealed = text.substring(0, end) + ",\n  \"crc32c\" : \"%08x\"\n}\n";
    Files.writeString(snapshot.resolve(Manifest.NAME), String.format(sealed, crc.getValue()));
    FormatException refused =
        assertThrows(FormatException.class, () -> Snapshot.open(snapshot).close());
    assertTrue(String.valueOf(refused.getMessage()).contains(Manifest.NAME), refused::getMessage);
  }

  @Test
  void momentumFromElsewhereIsForLion() throws IOException {
    Path model = folder.resolve("model.safetensors");
    Path store = create(UpdateRules.required("adamw"));
    step(store);
    Path snapshot = snapshot(store);
    Files.copy(snapshot.resolve("model.safetensors"), model);
    ImportOptions options =
        new ImportOptions(
            UpdateRules.required("adamw"),
            Optional.empty(),
            Rounding.NEAREST,
            0,
            List.of(),
            List.of(),
            256,
            1 << 16);
    try (Momentum momentum = Momentum.open(snapshot)) {
      IllegalArgumentException refused =
          assertThrows(
              IllegalArgumentException.class,
              () -> ModelImport.run(model, momentum, folder.resolve("new"), options, _ -> {}));
      assertTrue(String.valueOf(refused.getMessage()).contains("adamw"), refused::getMessage);
    }
    assertFalse(Files.exists(folder.resolve("new")));
  }
}
