package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * A tensor as it lies in a file. Reads and writes safetensors from the format's description alone:
 * 8 bytes little-endian header size, the header as JSON, then the data.
 */
record RawTensor(String name, String dtype, List<Long> shape, byte[] data) {
  private static final ObjectMapper JSON = new ObjectMapper();

  static void write(Path file, List<RawTensor> tensors) throws IOException {
    ObjectNode header = JSON.createObjectNode();
    ByteArrayOutputStream data = new ByteArrayOutputStream();
    for (RawTensor tensor : tensors) {
      ObjectNode entry = header.putObject(tensor.name()).put("dtype", tensor.dtype());
      tensor.shape().forEach(entry.putArray("shape")::add);
      int begin = data.size();
      data.writeBytes(tensor.data());
      entry.putArray("data_offsets").add(begin).add(data.size());
    }
    byte[] json = JSON.writeValueAsBytes(header);
    ByteBuffer size = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(json.length);
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    bytes.writeBytes(size.array());
    bytes.writeBytes(json);
    bytes.writeBytes(data.toByteArray());
    Files.write(file, bytes.toByteArray());
  }

  /** Two tensors in a shard, and an index. */
  static void writeShards(Path folder, List<RawTensor> tensors) throws IOException {
    ObjectNode index = JSON.createObjectNode();
    index.putObject("metadata").put("total_size", 1);
    ObjectNode map = index.putObject("weight_map");
    int shards = (tensors.size() + 1) / 2;
    for (int i = 0; i < shards; i++) {
      String name = String.format("model-%05d-of-%05d.safetensors", i + 1, shards);
      List<RawTensor> part = tensors.subList(2 * i, Math.min(tensors.size(), 2 * i + 2));
      write(folder.resolve(name), part);
      part.forEach(tensor -> map.put(tensor.name(), name));
    }
    Files.write(folder.resolve("model.safetensors.index.json"), JSON.writeValueAsBytes(index));
  }

  /** The tensors of every file that is called {@code PREFIX*.safetensors}, by name. */
  static Map<String, RawTensor> readAll(Path folder, String prefix) throws IOException {
    Map<String, RawTensor> all = new TreeMap<>();
    List<Path> files;
    try (Stream<Path> entries = Files.list(folder)) {
      files =
          entries
              .filter(path -> String.valueOf(path.getFileName()).startsWith(prefix))
              .filter(path -> path.toString().endsWith(".safetensors"))
              .toList();
    }
    for (Path file : files) {
      for (RawTensor tensor : read(file)) {
        assertEquals(null, all.put(tensor.name(), tensor), tensor.name() + " twice");
      }
    }
    return all;
  }

  static List<RawTensor> read(Path file) throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    int size = (int) ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong();
    JsonNode header = JSON.readTree(Arrays.copyOfRange(bytes, 8, 8 + size));
    List<RawTensor> tensors = new ArrayList<>();
    for (Map.Entry<String, JsonNode> entry : header.properties()) {
      if (entry.getKey().equals("__metadata__")) {
        continue;
      }
      List<Long> shape = new ArrayList<>();
      entry.getValue().get("shape").forEach(dimension -> shape.add(dimension.asLong()));
      JsonNode place = entry.getValue().get("data_offsets");
      byte[] data =
          Arrays.copyOfRange(
              bytes, 8 + size + place.get(0).asInt(), 8 + size + place.get(1).asInt());
      tensors.add(
          new RawTensor(entry.getKey(), entry.getValue().get("dtype").asText(), shape, data));
    }
    return tensors;
  }

  boolean trained() {
    return List.of("F32", "F16", "BF16").contains(dtype);
  }

  /** The values of a float tensor, exactly. */
  float[] values() {
    ByteBuffer in = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
    float[] values = new float[data.length / (dtype.equals("F32") ? 4 : 2)];
    for (int i = 0; i < values.length; i++) {
      values[i] =
          switch (dtype) {
            case "F32" -> in.getFloat();
            case "F16" -> Float.float16ToFloat(in.getShort());
            default -> Float.intBitsToFloat(in.getShort() << 16);
          };
    }
    return values;
  }

  static void assertSame(RawTensor expected, RawTensor actual) {
    assertEquals(expected.name(), actual.name());
    assertEquals(expected.dtype(), actual.dtype(), expected.name());
    assertEquals(expected.shape(), actual.shape(), expected.name());
    assertArrayEquals(expected.data(), actual.data(), expected.name());
  }

  /** Compares bits, so that zeros have signs. */
  static void assertSameValues(float[] expected, float[] actual, String name) {
    assertEquals(expected.length, actual.length, name);
    for (int i = 0; i < expected.length; i++) {
      int index = i;
      assertEquals(
          Float.floatToRawIntBits(expected[i]),
          Float.floatToRawIntBits(actual[i]),
          () -> name + "[" + index + "]");
    }
  }
}
