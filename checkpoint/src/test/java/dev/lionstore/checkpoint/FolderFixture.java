package dev.lionstore.checkpoint;

import dev.lionstore.TensorSpec;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.store.StoreBuilder;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** A model's folder that is made by hand, imported and exported. */
final class FolderFixture {
  private final Path work;
  private final Path model;
  private final List<RawTensor> tensors = new ArrayList<>();
  private String weights = "model.safetensors";
  private List<Pattern> frozen = List.of();
  private ImportOptions.Reading reading = ImportOptions.Reading.DEFAULT;

  FolderFixture(Path work) throws IOException {
    this.work = work;
    this.model = Files.createDirectory(work.resolve("m"));
  }

  Path model() {
    return model;
  }

  Path store() {
    return work.resolve("s");
  }

  static byte[] f32(float... values) {
    ByteBuffer data =
        ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    for (float value : values) {
      data.putFloat(value);
    }
    return data.array();
  }

  /** Every element the same: 1.0. */
  static RawTensor bf16(String name, Long... shape) {
    return filled(name, "BF16", (short) 0x3F80, shape);
  }

  static RawTensor filled(String name, String type, short element, Long... shape) {
    int count = Arrays.stream(shape).mapToInt(Long::intValue).reduce(1, (a, b) -> a * b);
    ByteBuffer data = ByteBuffer.allocate(count * Short.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < count; i++) {
      data.putShort(element);
    }
    return new RawTensor(name, type, List.of(shape), data.array());
  }

  static RawTensor f32(String name, List<Long> shape, float... values) {
    return new RawTensor(name, "F32", shape, f32(values));
  }

  static RawTensor raw(String name, String type, Long... shape) {
    int bits = type.equals("F4") ? 4 : type.endsWith("64") ? 64 : type.endsWith("32") ? 32 : 8;
    bits = type.endsWith("16") ? 16 : bits;
    int count = Arrays.stream(shape).mapToInt(Long::intValue).reduce(1, (a, b) -> a * b);
    return new RawTensor(name, type, List.of(shape), new byte[count * bits / 8]);
  }

  FolderFixture with(RawTensor... more) {
    tensors.addAll(List.of(more));
    return this;
  }

  FolderFixture named(String file) {
    weights = file;
    return this;
  }

  FolderFixture file(String name, String content) throws IOException {
    Path file = model.resolve(name);
    Files.createDirectories(file.resolveSibling(""));
    Files.writeString(file, content, StandardCharsets.UTF_8);
    return this;
  }

  FolderFixture config(String json) throws IOException {
    return file("config.json", json);
  }

  FolderFixture stray(String name, RawTensor... others) throws IOException {
    Files.createDirectories(model.resolve(name).resolveSibling(""));
    RawTensor.write(model.resolve(name), List.of(others));
    return this;
  }

  FolderFixture freezing(String regex) {
    frozen = List.of(Pattern.compile(regex));
    return this;
  }

  FolderFixture reading(UnaryOperator<ImportOptions.Reading> change) {
    reading = change.apply(reading);
    return this;
  }

  FolderFixture carrying(String regex) {
    return reading(r ->
        new ImportOptions.Reading(
            List.of(Pattern.compile(regex)), r.trained(), r.quantized(), r.component()));
  }

  FolderFixture training(String regex) {
    return reading(r ->
        new ImportOptions.Reading(
            r.carried(), List.of(Pattern.compile(regex)), r.quantized(), r.component()));
  }

  FolderFixture component(String name) {
    return reading(r -> new ImportOptions.Reading(r.carried(), r.trained(), r.quantized(), name));
  }

  FolderFixture dequantizing() {
    return reading(r ->
        new ImportOptions.Reading(
            r.carried(), r.trained(), ImportOptions.Quantized.DEQUANTIZED, r.component()));
  }

  ImportOptions options() {
    ImportOptions plain = Models.options();
    return new ImportOptions(
        TensorRules.of(UpdateRules.LION),
        Optional.empty(),
        plain.rounding(),
        plain.seed(),
        List.of(),
        frozen,
        256,
        StoreBuilder.DEFAULT_POSITION_CAPACITY,
        reading);
  }

  /** Imports, and checks that what became of every tensor adds up to what the folder holds. */
  ImportResult run() throws IOException {
    if (!tensors.isEmpty()) {
      RawTensor.write(model.resolve(weights), tensors);
    }
    ImportResult result;
    try (Momentum zero = Momentum.zero()) {
      result = ModelImport.run(model, zero, store(), options(), _ -> {});
    }
    int held = 0;
    try (Stream<Path> files = Files.list(model.resolve(reading.component()))) {
      for (Path file : files.filter(f -> f.toString().endsWith(".safetensors")).toList()) {
        held += RawTensor.read(file).size();
      }
    }
    ImportResult.Source source = result.source();
    int told =
        result.layout().tensors().size() + source.tied() + source.carried() + source.leftOut();
    if (held != told) {
      throw new AssertionError("the folder holds " + held + " tensors, told of " + told);
    }
    return result;
  }

  List<String> parameters() throws IOException {
    try (StoreReader reader = StoreReader.openAtRest(store())) {
      return reader.layout().tensors().stream().map(TensorSpec::name).toList();
    }
  }

  /** What an export writes, by the path in its folder. */
  Map<String, byte[]> exported(ModelExport.Form form) throws IOException {
    Path out = work.resolve("out-" + form);
    Models.export(store(), out, form, 1L << 40);
    return files(out);
  }

  static Map<String, byte[]> files(Path folder) throws IOException {
    Map<String, byte[]> files = new TreeMap<>();
    try (Stream<Path> tree = Files.walk(folder)) {
      for (Path file : tree.filter(Files::isRegularFile).toList()) {
        files.put(folder.relativize(file).toString(), Files.readAllBytes(file));
      }
    }
    return files;
  }

  /** The tensors that an export writes. */
  Map<String, RawTensor> tensors(ModelExport.Form form) throws IOException {
    exported(form);
    Path out = work.resolve("out-" + form);
    Map<String, RawTensor> found = new TreeMap<>();
    try (Stream<Path> files = Files.list(out)) {
      for (Path file : files.filter(f -> f.toString().endsWith(".safetensors")).toList()) {
        RawTensor.read(file).forEach(tensor -> found.put(tensor.name(), tensor));
      }
    }
    return found;
  }
}
