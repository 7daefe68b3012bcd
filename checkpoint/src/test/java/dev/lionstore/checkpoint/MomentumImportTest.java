package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.TensorSpec;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.safetensors.DeclaredTensor;
import dev.lionstore.safetensors.SafetensorsType;
import dev.lionstore.safetensors.SafetensorsWriter;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class MomentumImportTest {
  @TempDir Path folder;
  private Path model = Path.of("");

  @BeforeEach
  void makeModel() throws IOException {
    model = Models.folder(folder, "model", Models.tensors("F32", "BF16"));
  }

  /** {@code save_file({f"{name}.exp_avg": state["exp_avg"] ...})}, as lion-pytorch keeps it. */
  @Test
  void lionPytorchsStateInF32IsRoundedToNearestEvenAndCounted() throws IOException {
    List<RawTensor> given = momentum("%s.exp_avg", "F32");
    Path file = folder.resolve("lion.safetensors");
    List<DeclaredTensor> declared =
        given.stream()
            .map(tensor -> new DeclaredTensor(tensor.name(), SafetensorsType.F32, tensor.shape()))
            .toList();
    try (SafetensorsWriter writer =
        SafetensorsWriter.create(file, declared, Map.of("format", "pt"))) {
      for (RawTensor tensor : given) {
        writer.write(tensor.name(), MemorySegment.ofArray(tensor.data()));
      }
      writer.finish();
    }
    ImportResult result = run(file, Models.options());
    assertEquals(given.size(), result.momentumGiven());
    assertEquals(List.of(), result.momentumAbsent());
    assertEquals(List.of(), result.momentumOfFrozen());
    Map<String, short[]> expected = nearestEven(given, ".exp_avg");
    assertMomentum(expected);
    long rounded = 0;
    for (RawTensor tensor : given) {
      for (float value : tensor.values()) {
        rounded += (Float.floatToRawIntBits(value) & 0xFFFF) == 0 ? 0 : 1;
      }
    }
    assertTrue(rounded > 1000, rounded + " values");
    assertEquals(rounded, result.momentumRounded());
  }

  @ParameterizedTest
  @CsvSource({
    "%s.exp_avg, F32", "%s.exp_avg, F16", "%s.exp_avg, BF16",
    "state.%s.exp_avg, F32", "state.%s.exp_avg, F16", "state.%s.exp_avg, BF16"
  })
  void everyNamingAndTypeIsReadFromFileIndexAndFolder(String naming, String dtype)
      throws IOException {
    List<RawTensor> given = momentum(naming, dtype);
    Path whole = Files.createDirectory(folder.resolve("whole"));
    RawTensor.write(whole.resolve("optimizer.safetensors"), given);
    Path shards = Files.createDirectory(folder.resolve("shards"));
    RawTensor.writeShards(shards, given);
    Path index = shards.resolve("model.safetensors.index.json");
    Map<String, short[]> expected = nearestEven(given, naming.substring(naming.indexOf("%s") + 2));
    for (Path source : List.of(whole, whole.resolve("optimizer.safetensors"), index)) {
      ImportResult result = run(source, Models.options());
      assertEquals(List.of(), result.momentumAbsent());
      assertEquals(dtype.equals("BF16"), result.momentumRounded() == 0);
      assertMomentum(expected);
      deleteStore();
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 4000, 1L << 40})
  void aSnapshotFoldersMomentumComesBackToTheBit(long shardBytes) throws IOException {
    Path original = Models.steppedStore(Files.createDirectory(folder.resolve("run")), 3);
    Path snapshot = Models.snapshot(original, folder.resolve("snapshots"), shardBytes);
    Path store = folder.resolve("store");
    ImportResult result;
    try (Momentum momentum = Momentum.open(snapshot)) {
      result = ModelImport.run(snapshot, momentum, store, Models.grouped(), bytes -> {});
    }
    assertEquals(13, result.momentumGiven());
    assertEquals(0, result.momentumRounded());
    try (StoreReader before = StoreReader.openAtRest(original)) {
      Map<String, short[]> expected = new HashMap<>();
      List<TensorSpec> tensors = before.layout().tensors();
      for (int t = 0; t < tensors.size(); t++) {
        if (tensors.get(t).trainable()) {
          expected.put(tensors.get(t).name(), bits(before, t));
        }
      }
      assertMomentum(expected);
    }
  }

  @Test
  void aPlainModelsMomentumIsZeroAndEveryTensorIsNamed() throws IOException {
    Path store = folder.resolve("store");
    ImportResult result;
    try (Momentum zero = Momentum.zero()) {
      result = ModelImport.run(model, zero, store, Models.grouped(), bytes -> {});
    }
    assertEquals(0, result.momentumGiven());
    assertEquals(13, result.momentumAbsent().size());
    try (StoreReader reader = StoreReader.openAtRest(store)) {
      for (int t = 0; t < reader.layout().tensors().size(); t++) {
        if (reader.layout().tensors().get(t).trainable()) {
          for (short value : bits(reader, t)) {
            assertEquals(0, value);
          }
        }
      }
    }
  }

  @Test
  void whatIsAbsentStartsAtZeroAndWhatIsFrozenIsLeftOutBothNamed() throws IOException {
    List<RawTensor> given =
        momentum("%s.exp_avg", "F32").stream()
            .filter(tensor -> List.of("x.exp_avg", "a/b.exp_avg").contains(tensor.name()))
            .toList();
    Path file = folder.resolve("some.safetensors");
    RawTensor.write(file, given);
    ImportResult result = run(file, Models.grouped());
    assertEquals(1, result.momentumGiven());
    assertEquals(List.of("a/b"), result.momentumOfFrozen());
    assertEquals(12, result.momentumAbsent().size());
    assertTrue(result.momentumAbsent().contains("x.exp_avg"), "its own would be x.exp_avg.exp_avg");
    Map<String, short[]> expected = nearestEven(given, ".exp_avg");
    expected.remove("a/b");
    try (StoreReader reader = StoreReader.openAtRest(folder.resolve("store"))) {
      List<TensorSpec> tensors = reader.layout().tensors();
      for (int t = 0; t < tensors.size(); t++) {
        if (tensors.get(t).trainable()) {
          int count = Math.toIntExact(tensors.get(t).count());
          expected.putIfAbsent(tensors.get(t).name(), new short[count]);
        }
      }
    }
    assertMomentum(expected);
  }

  @Test
  void aTensorThatIsCalledLikeANamingIsStillItself() throws IOException {
    List<RawTensor> tensors =
        List.of(
            Models.floats("w", "F32", List.of(5L), 1),
            Models.floats("state.w", "F32", List.of(5L), 2));
    model = Models.folder(folder, "state", tensors);
    for (String naming : List.of("%s.exp_avg", "state.%s.exp_avg")) {
      List<RawTensor> given =
          List.of(
              finite(Models.floats(naming.formatted("w"), "F32", List.of(5L), 3)),
              finite(Models.floats(naming.formatted("state.w"), "F32", List.of(5L), 4)));
      Path file = folder.resolve("m.safetensors");
      RawTensor.write(file, given);
      run(file, Models.options());
      assertMomentum(Map.of("w", nearestEven(given.get(0)), "state.w", nearestEven(given.get(1))));
      deleteStore();
    }
  }

  @Test
  void progressTellsOfTheBytesOfModelAndMomentum() throws IOException {
    Path file = folder.resolve("m.safetensors");
    RawTensor.write(file, momentum("%s.exp_avg", "F32"));
    long[] seen = new long[1];
    try (Momentum momentum = Momentum.open(file)) {
      ModelImport.run(
          model, momentum, folder.resolve("store"), Models.options(), bytes -> seen[0] += bytes);
      long modelBytes =
          Models.tensors("F32", "BF16").stream()
              .filter(RawTensor::trained)
              .mapToLong(tensor -> tensor.data().length)
              .sum();
      assertEquals(modelBytes + momentum.bytes(), seen[0]);
    }
  }

  private ImportResult run(Path source, ImportOptions options) throws IOException {
    try (Momentum momentum = Momentum.open(source)) {
      return ModelImport.run(model, momentum, folder.resolve("store"), options, bytes -> {});
    }
  }

  /** Momentum for every float tensor of the model. */
  private static List<RawTensor> momentum(String naming, String dtype) {
    return Models.tensors("F32").stream()
        .filter(RawTensor::trained)
        .map(tensor ->
            Models.floats(
                naming.replace("%s", tensor.name()),
                dtype,
                tensor.shape(),
                tensor.name().hashCode()))
        .map(MomentumImportTest::finite)
        .toList();
  }

  /** Without what no bfloat16 holds: the largest masters. */
  private static RawTensor finite(RawTensor tensor) {
    if (tensor.dtype().equals("F32")) {
      ByteBuffer data = ByteBuffer.wrap(tensor.data()).order(ByteOrder.LITTLE_ENDIAN);
      for (int i = 0; i < data.capacity(); i += 4) {
        if ((data.getInt(i) & 0x7FFFFFFF) > 0x7F7F0000) {
          data.putInt(i, 0x7F7F0000);
        }
      }
    }
    return tensor;
  }

  private static Map<String, short[]> nearestEven(List<RawTensor> given, String suffix) {
    Map<String, short[]> expected = new TreeMap<>();
    for (RawTensor tensor : given) {
      String name = tensor.name().substring(0, tensor.name().length() - suffix.length());
      expected.put(
          tensor.name().startsWith("state.") ? name.substring("state.".length()) : name,
          nearestEven(tensor));
    }
    return expected;
  }

  /** By comparing distances, exact in double, rather than by arithmetic on bits. */
  private static short[] nearestEven(RawTensor tensor) {
    float[] values = tensor.values();
    short[] nearest = new short[values.length];
    for (int i = 0; i < values.length; i++) {
      int down = Float.floatToRawIntBits(values[i]) >>> 16;
      double below = Math.abs((double) values[i] - Float.intBitsToFloat(down << 16));
      double above = Math.abs((double) values[i] - Float.intBitsToFloat((down + 1) << 16));
      nearest[i] = (short) (below < above || (below == above && (down & 1) == 0) ? down : down + 1);
    }
    return nearest;
  }

  private void assertMomentum(Map<String, short[]> expected) throws IOException {
    try (StoreReader reader = StoreReader.openAtRest(folder.resolve("store"))) {
      List<TensorSpec> tensors = reader.layout().tensors();
      int compared = 0;
      for (int t = 0; t < tensors.size(); t++) {
        short[] values = expected.get(tensors.get(t).name());
        if (values != null) {
          assertArrayEquals(values, bits(reader, t), tensors.get(t).name());
          compared++;
        }
      }
      assertEquals(expected.size(), compared);
    }
  }

  private static short[] bits(StoreReader reader, int tensor) {
    return reader
        .values(UpdateRules.LION.statePlanes().getFirst(), tensor)
        .toArray(ValueLayout.JAVA_SHORT_UNALIGNED);
  }

  private void deleteStore() throws IOException {
    Path store = folder.resolve("store");
    for (String name : Models.names(store)) {
      Files.delete(store.resolve(name));
    }
  }
}
