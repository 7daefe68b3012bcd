package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.GradientPlane;
import dev.lionstore.checkpoint.ModelExport.Form;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ImportExportTest {
  private static final long ONE_SHARD = 1L << 40;

  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(strings = {"F32", "F16", "BF16", "F32 BF16 F16"})
  void masterComesBackToTheBitFromFileFolderAndShards(String dtypes) throws IOException {
    List<RawTensor> tensors = Models.tensors(dtypes.split(" "));
    Path whole = Models.folder(folder, "whole", tensors);
    Path sharded = Files.createDirectory(folder.resolve("sharded"));
    RawTensor.writeShards(sharded, tensors);
    List<Path> models =
        List.of(
            whole,
            whole.resolve("model.safetensors"),
            sharded,
            sharded.resolve("model.safetensors.index.json"));
    Set<String> hashes = new HashSet<>();
    for (int i = 0; i < models.size(); i++) {
      Path store = folder.resolve("store" + i);
      ModelImport.run(models.get(i), store, Models.options(), bytes -> {});
      hashes.add(Models.hash(store));
      for (long shardBytes : new long[] {1, 4000, ONE_SHARD}) {
        Path exported = folder.resolve("exported" + i + "-" + shardBytes);
        Models.export(store, exported, Form.MASTER, shardBytes);
        assertModel(tensors, RawTensor.readAll(exported, "model"), Form.MASTER);
        assertEquals(shardBytes == ONE_SHARD, Files.exists(exported.resolve("model.safetensors")));
      }
    }
    assertEquals(1, hashes.size(), "the same model in four forms");
  }

  @ParameterizedTest
  @ValueSource(strings = {"F32", "F16", "BF16", "F32 BF16 F16"})
  void weightsAreTheMasterRoundedToNearestWithTiesAwayFromZero(String dtypes) throws IOException {
    List<RawTensor> tensors = Models.tensors(dtypes.split(" "));
    Path store = folder.resolve("store");
    ModelImport.run(Models.folder(folder, "m", tensors), store, Models.options(), bytes -> {});
    Models.export(store, folder.resolve("out"), Form.WEIGHTS, 4000);
    assertModel(tensors, RawTensor.readAll(folder.resolve("out"), "model"), Form.WEIGHTS);
  }

  @Test
  void anExportedFolderImportsToTheSameWeights() throws IOException {
    Path store = Models.steppedStore(folder, 2);
    for (Form form : List.of(Form.WEIGHTS, Form.MASTER)) {
      Path once = folder.resolve("once" + form);
      Path twice = folder.resolve("twice" + form);
      Models.export(store, once, form, 4000);
      ModelImport.run(once, folder.resolve("s" + form), Models.options(), bytes -> {});
      Models.export(folder.resolve("s" + form), twice, form, ONE_SHARD);
      Map<String, RawTensor> expected = RawTensor.readAll(once, "model");
      Map<String, RawTensor> actual = RawTensor.readAll(twice, "model");
      assertEquals(expected.keySet(), actual.keySet());
      expected.forEach((name, tensor) -> RawTensor.assertSame(tensor, get(actual, name)));
    }
  }

  @Test
  void theRestOfTheModelComesOutAgainWithEqualBytes() throws IOException {
    Path store = Models.steppedStore(folder, 1);
    Path exported = folder.resolve("exported");
    Models.export(store, exported, Form.WEIGHTS, 4000);
    assertRest(exported);

    Path snapshot = Models.snapshot(store, folder.resolve("snapshots"), 4000);
    Path restored = folder.resolve("restored");
    try (Snapshot open = Snapshot.open(snapshot)) {
      Models.names(snapshot);
      try (CarriedContent carried = open.carried()) {
        Path direct = folder.resolve("direct");
        ModelExport.run(open, carried, direct, Form.MASTER, ONE_SHARD, bytes -> {});
        assertRest(direct);
      }
      open.restore(restored, 512, bytes -> {});
    }
    Path again = folder.resolve("again");
    Models.export(restored, again, Form.WEIGHTS, ONE_SHARD);
    assertRest(again);
    assertEquals(
        RawTensor.readAll(exported, "model").keySet(), RawTensor.readAll(again, "model").keySet());
  }

  @Test
  void aModelOfOneFileBringsNoOtherFiles() throws IOException {
    Path model = Models.folder(folder, "model", Models.tensors("F32"));
    Models.writeOtherFiles(model);
    Path store = folder.resolve("store");
    ModelImport.run(model.resolve("model.safetensors"), store, Models.options(), bytes -> {});
    Models.export(store, folder.resolve("out"), Form.WEIGHTS, ONE_SHARD);
    assertEquals(List.of("model.safetensors"), Models.names(folder.resolve("out")));
  }

  @Test
  void linkedFilesAreCopiedAndNotLinked() throws IOException {
    Path blobs = Models.folder(folder, "blobs", Models.tensors("BF16"));
    Files.writeString(blobs.resolve("c"), "{}");
    Path model = Files.createDirectory(folder.resolve("model"));
    Files.createSymbolicLink(model.resolve("config.json"), Path.of("../blobs/c"));
    Files.createSymbolicLink(
        model.resolve("model.safetensors"), Path.of("../blobs/model.safetensors"));
    Path store = folder.resolve("store");
    ModelImport.run(model, store, Models.options(), bytes -> {});
    Path out = folder.resolve("out");
    Models.export(store, out, Form.WEIGHTS, ONE_SHARD);
    assertEquals("{}", Files.readString(out.resolve("config.json")));
    assertFalse(Files.isSymbolicLink(out.resolve("config.json")));
  }

  @Test
  void aSnapshotImportsAsTheModelInIt() throws IOException {
    Path store = Models.steppedStore(folder, 2);
    Path snapshot = Models.snapshot(store, folder.resolve("snapshots"), 4000);
    Path fresh = folder.resolve("fresh");
    ModelImport.run(snapshot, fresh, Models.options(), bytes -> {});
    try (StoreReader reader = StoreReader.openAtRest(fresh)) {
      assertEquals(0, reader.step());
      assertEquals(GradientPlane.BF16, reader.layout().gradientPlane());
    }
    Models.export(fresh, folder.resolve("out"), Form.WEIGHTS, ONE_SHARD);
    Map<String, RawTensor> expected = RawTensor.readAll(snapshot, "model");
    RawTensor.readAll(folder.resolve("out"), "model")
        .forEach((name, tensor) -> RawTensor.assertSame(get(expected, name), tensor));
    assertRest(folder.resolve("out"));
  }

  @Test
  void carriedTensorsLieInNameOrderSoThatEqualModelsGiveEqualFiles() throws IOException {
    Path model = Models.folder(folder, "model", Models.tensors("F32"));
    ModelImport.run(model, folder.resolve("store"), Models.options(), bytes -> {});
    assertEquals(
        List.of("bytes", "doubles", "ids", "mask", "no ints"),
        RawTensor.read(folder.resolve("store/carried.safetensors")).stream()
            .map(RawTensor::name)
            .toList());
  }

  private void assertModel(List<RawTensor> expected, Map<String, RawTensor> actual, Form form) {
    assertEquals(expected.size(), actual.size());
    for (RawTensor tensor : expected) {
      RawTensor found = get(actual, tensor.name());
      if (!tensor.trained()) {
        RawTensor.assertSame(tensor, found);
        continue;
      }
      assertEquals(form == Form.MASTER ? "F32" : "BF16", found.dtype());
      assertEquals(tensor.shape(), found.shape());
      float[] values = tensor.values();
      for (int i = 0; form == Form.WEIGHTS && i < values.length; i++) {
        values[i] = nearestBf16TiesAway(values[i]);
      }
      RawTensor.assertSameValues(values, found.values(), tensor.name());
    }
  }

  /** By the distance to the two neighbours in double, not by the bits. */
  private static float nearestBf16TiesAway(float value) {
    float towardsZero = Float.intBitsToFloat(Float.floatToRawIntBits(value) & 0xFFFF0000);
    float away = Float.intBitsToFloat(Float.floatToRawIntBits(towardsZero) + 0x10000);
    double below = Math.abs((double) value - towardsZero);
    double above = Math.abs((double) away - value);
    return below < above ? towardsZero : away;
  }

  private void assertRest(Path exported) throws IOException {
    Path model = folder.resolve("model");
    for (String name : Models.OTHER_FILES) {
      assertArrayEquals(
          Files.readAllBytes(model.resolve(name)),
          Files.readAllBytes(exported.resolve(name)),
          name);
    }
    try (Stream<Path> entries = Files.list(exported)) {
      List<String> strangers =
          entries
              .map(path -> String.valueOf(path.getFileName()))
              .filter(name -> !Models.OTHER_FILES.contains(name) && !name.startsWith("model"))
              .toList();
      assertEquals(List.of(), strangers);
    }
    Map<String, RawTensor> actual = RawTensor.readAll(exported, "model");
    int carried = 0;
    for (RawTensor tensor : RawTensor.read(model.resolve("model.safetensors"))) {
      if (!tensor.trained()) {
        RawTensor.assertSame(tensor, get(actual, tensor.name()));
        carried++;
      }
    }
    assertTrue(carried >= 5, carried + " carried tensors");
  }

  private static RawTensor get(Map<String, RawTensor> tensors, String name) {
    return Objects.requireNonNull(tensors.get(name), name);
  }
}
