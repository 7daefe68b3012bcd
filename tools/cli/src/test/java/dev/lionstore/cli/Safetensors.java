package dev.lionstore.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/** Reads and writes safetensors from the format's description alone. */
final class Safetensors {
  private static final ObjectMapper JSON = new ObjectMapper();

  private Safetensors() {}

  /** A tensor as it lies in a file. */
  record Tensor(String name, String type, List<Long> shape, byte[] data) {
    /** A tensor of as many values as the shape asks for. */
    static Tensor of(String name, String type, List<Long> shape, float... values) {
      int width = type.equals("F32") ? Float.BYTES : Short.BYTES;
      ByteBuffer data = ByteBuffer.allocate(values.length * width).order(ByteOrder.LITTLE_ENDIAN);
      for (float value : values) {
        switch (type) {
          case "F32" -> data.putFloat(value);
          case "F16" -> data.putShort(Float.floatToFloat16(value));
          default -> data.putShort((short) (Float.floatToRawIntBits(value) >>> 16));
        }
      }
      return new Tensor(name, type, shape, data.array());
    }

    /** The values as bits of float32. */
    int[] bits() {
      ByteBuffer in = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
      int[] bits = new int[data.length / (type.equals("F32") ? Float.BYTES : Short.BYTES)];
      for (int i = 0; i < bits.length; i++) {
        bits[i] =
            switch (type) {
              case "F32" -> in.getInt();
              case "F16" -> Float.floatToRawIntBits(Float.float16ToFloat(in.getShort()));
              default -> in.getShort() << 16;
            };
      }
      return bits;
    }
  }

  static Path write(Path file, Tensor... tensors) throws IOException {
    ObjectNode header = JSON.createObjectNode();
    ByteArrayOutputStream data = new ByteArrayOutputStream();
    for (Tensor tensor : tensors) {
      ObjectNode entry = header.putObject(tensor.name()).put("dtype", tensor.type());
      tensor.shape().forEach(entry.putArray("shape")::add);
      int begin = data.size();
      data.writeBytes(tensor.data());
      entry.putArray("data_offsets").add(begin).add(data.size());
    }
    return write(file, JSON.writeValueAsString(header), data.toByteArray());
  }

  /** A file of any header. */
  static Path write(Path file, String header, byte... data) throws IOException {
    byte[] json = header.getBytes(StandardCharsets.UTF_8);
    ByteBuffer bytes =
        ByteBuffer.allocate(Long.BYTES + json.length + data.length).order(ByteOrder.LITTLE_ENDIAN);
    return Files.write(file, bytes.putLong(json.length).put(json).put(data).array());
  }

  /** A tensor to a shard, and an index. */
  static Path writeSharded(Path folder, Tensor... tensors) throws IOException {
    Files.createDirectories(folder);
    ObjectNode index = JSON.createObjectNode();
    index.putObject("metadata").put("total_size", 0);
    ObjectNode map = index.putObject("weight_map");
    for (int i = 0; i < tensors.length; i++) {
      String name = String.format("model-%05d-of-%05d.safetensors", i + 1, tensors.length);
      write(folder.resolve(name), tensors[i]);
      map.put(tensors[i].name(), name);
    }
    Files.write(folder.resolve("model.safetensors.index.json"), JSON.writeValueAsBytes(index));
    return folder;
  }

  /** All tensors of a folder's files, by name. */
  static Map<String, Tensor> readAll(Path folder) throws IOException {
    Map<String, Tensor> all = new TreeMap<>();
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.filter(f -> f.toString().endsWith(".safetensors")).toList()) {
        byte[] bytes = Files.readAllBytes(file);
        int begin =
            Long.BYTES + (int) ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong();
        JsonNode header = JSON.readTree(bytes, Long.BYTES, begin - Long.BYTES);
        for (Map.Entry<String, JsonNode> entry : header.properties()) {
          if (!entry.getKey().equals("__metadata__")) {
            all.put(entry.getKey(), tensor(entry.getKey(), entry.getValue(), bytes, begin));
          }
        }
      }
    }
    return all;
  }

  private static Tensor tensor(String name, JsonNode entry, byte[] bytes, int begin) {
    List<Long> shape =
        JSON.convertValue(
            entry.get("shape"),
            JSON.getTypeFactory().constructCollectionType(List.class, Long.class));
    JsonNode offsets = entry.get("data_offsets");
    return new Tensor(
        name,
        entry.get("dtype").asText(),
        shape,
        Arrays.copyOfRange(bytes, begin + offsets.get(0).asInt(), begin + offsets.get(1).asInt()));
  }
}
