package dev.lionstore.checkpoint;

import dev.lionstore.ElementType;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StepRequest;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.SplittableRandom;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** Models with hostile values and names, and stores made of them. */
final class Models {
  static final long SEED = 20_260_101;

  /** Files that belong to a model; no system calls these names impossible. */
  static final List<String> OTHER_FILES =
      List.of("config.json", "tokenizer.json", ".hidden", "a\\b.txt", "two words", "x.safetensor");

  private static final int[] HOSTILE = {
    0,
    0x80000000,
    1,
    0x80000001,
    0x007FFFFF,
    0x00800000,
    0x00008000,
    0x00018000,
    0x3F808000,
    0xBF818000,
    0x3F807FFF,
    0x3F808001,
    0x7F7F7FFF,
    0xFF7F7FFF,
    0x7F7F0000
  };

  private Models() {}

  /**
   * A model of every shape and many names.
   *
   * @param dtypes of the float tensors, in turn
   */
  static List<RawTensor> tensors(String... dtypes) {
    List<RawTensor> tensors = new ArrayList<>();
    List<List<Long>> shapes =
        List.of(List.of(37L, 41L), List.of(700L), List.of(), List.of(0L, 5L), List.of(3L, 1L, 2L));
    List<String> names =
        List.of(
            "layer.0.weight",
            "norm.weight",
            "scalar",
            "empty",
            "x",
            "x.exp_avg",
            "x.remainder",
            "../../etc/passwd",
            "a/b",
            " ",
            "odd \"name\"\n\t\u00e9 \uD83E\uDD81 \uFFFD",
            "model",
            "__metadata",
            "\uFB01 before \uD83E in UTF-16".replace("\uD83E ", ""));
    for (int i = 0; i < names.size(); i++) {
      tensors.add(
          floats(names.get(i), dtypes[i % dtypes.length], shapes.get(i % shapes.size()), SEED + i));
    }
    tensors.add(new RawTensor("ids", "I64", List.of(3L, 2L), random(48, 1)));
    tensors.add(new RawTensor("mask", "BOOL", List.of(5L), new byte[] {0, 1, 1, 0, 1}));
    tensors.add(new RawTensor("bytes", "U8", List.of(7L), random(7, 2)));
    tensors.add(new RawTensor("doubles", "F64", List.of(2L), random(16, 3)));
    tensors.add(new RawTensor("no ints", "I32", List.of(0L), new byte[0]));
    return tensors;
  }

  static RawTensor floats(String name, String dtype, List<Long> shape, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    int count = shape.stream().mapToInt(Long::intValue).reduce(1, (a, b) -> a * b);
    int bytes = dtype.equals("F32") ? 4 : 2;
    ByteBuffer data = ByteBuffer.allocate(count * bytes).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < count; i++) {
      int bits = Float.floatToRawIntBits((float) random.nextGaussian());
      if (random.nextInt(8) == 0) {
        bits = HOSTILE[random.nextInt(HOSTILE.length)];
      }
      switch (dtype) {
        case "F32" -> data.putInt(bits);
        case "BF16" -> data.putShort((short) (bits >>> 16));
        default -> data.putShort(finite(Float.floatToFloat16(Float.intBitsToFloat(bits))));
      }
    }
    return new RawTensor(name, dtype, shape, data.array());
  }

  private static short finite(short half) {
    return (half & 0x7C00) == 0x7C00 ? (short) (half & 0x83FF) : half;
  }

  private static byte[] random(int size, long seed) {
    byte[] bytes = new byte[size];
    new SplittableRandom(seed).nextBytes(bytes);
    return bytes;
  }

  /** Puts files beside a model, among them some that are no part of it. */
  static void writeOtherFiles(Path folder) throws IOException {
    for (String name : OTHER_FILES) {
      Files.writeString(folder.resolve(name), name + " \u00e9\n", StandardCharsets.UTF_8);
    }
    Files.writeString(folder.resolve("pytorch_model.bin"), "stale");
    Files.createDirectory(folder.resolve("onnx"));
  }

  static ImportOptions options() {
    return options(1 << 16);
  }

  static ImportOptions options(int positionCapacity) {
    return new ImportOptions(
        UpdateRules.LION,
        Optional.empty(),
        Rounding.NEAREST,
        11,
        List.of(),
        List.of(),
        256,
        positionCapacity);
  }

  /** Two groups and a frozen tensor. */
  static ImportOptions grouped() {
    return new ImportOptions(
        UpdateRules.LION,
        Optional.empty(),
        Rounding.STOCHASTIC,
        -7,
        List.of(
            new ImportOptions.GroupRule(
                new ParameterGroup("norms", 0.5, OptionalDouble.of(0)), Pattern.compile("norm.*"))),
        List.of(Pattern.compile("a/b")),
        256,
        1 << 16);
  }

  static Path folder(Path parent, String name, List<RawTensor> tensors) throws IOException {
    Path folder = Files.createDirectory(parent.resolve(name));
    RawTensor.write(folder.resolve("model.safetensors"), tensors);
    return folder;
  }

  /** A store of the whole model, stepped. */
  static Path steppedStore(Path parent, int steps) throws IOException {
    Path model = folder(parent, "model", tensors("F32", "BF16", "F16"));
    writeOtherFiles(model);
    Path store = parent.resolve("store");
    ModelImport.run(model, store, grouped(), bytes -> {});
    step(store, 0, steps);
    return store;
  }

  /** Steps a store from one step to another; the position tells of it. */
  static void step(Path directory, int from, int to) throws IOException {
    try (StateStore store = StateStore.open(directory)) {
      List<TensorSpec> tensors = store.layout().tensors();
      for (int step = from; step < to; step++) {
        for (int t = 0; t < tensors.size(); t++) {
          if (tensors.get(t).trainable()) {
            store.gradients().put(t, gradient(tensors.get(t), step));
          }
        }
        byte[] position = ("after step " + step).getBytes(StandardCharsets.UTF_8);
        store.step(
            StepRequest.of(UpdateRules.LION.settings().with("weight_decay", 0.1), 0.01)
                .withPosition(position));
      }
    }
  }

  static GradientValues gradient(TensorSpec tensor, int step) {
    SplittableRandom random = new SplittableRandom(tensor.name().hashCode() * 31L + step);
    MemorySegment data = Arena.ofAuto().allocate(tensor.count() * 4, 4);
    for (long i = 0; i < tensor.count(); i++) {
      data.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) random.nextGaussian());
    }
    return new GradientValues(ElementType.F32, data);
  }

  static String hash(Path store) throws IOException {
    try (StoreReader reader = StoreReader.openAtRest(store)) {
      return ContentHash.of(reader, bytes -> {});
    }
  }

  static Path snapshot(Path store, Path directory, long maxShardBytes) throws IOException {
    try (StoreReader reader = StoreReader.openAtRest(store);
        CarriedContent carried = CarriedContent.ofStore(reader)) {
      return SnapshotWriter.write(reader, carried, directory, maxShardBytes, bytes -> {});
    }
  }

  static void export(Path store, Path target, ModelExport.Form form, long maxShardBytes)
      throws IOException {
    try (StoreReader reader = StoreReader.openAtRest(store);
        CarriedContent carried = CarriedContent.ofStore(reader)) {
      ModelExport.run(reader, carried, target, form, maxShardBytes, bytes -> {});
    }
  }

  /** Names in a folder, sorted. */
  static List<String> names(Path folder) throws IOException {
    try (Stream<Path> entries = Files.list(folder)) {
      return entries.map(path -> String.valueOf(path.getFileName())).sorted().toList();
    }
  }
}
