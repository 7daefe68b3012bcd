package dev.lionstore.safetensors;

import static dev.lionstore.fuzz.Property.require;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.lionstore.fuzz.Property;
import dev.lionstore.fuzz.Scratch;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Stream;

/** An index of any bytes beside two sound shards. */
public final class IndexTarget {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Path INDEX = indexBesideShards();

  private IndexTarget() {}

  /** What Jazzer calls. */
  public static void fuzzerTestOneInput(byte[] bytes) throws IOException {
    Files.write(INDEX, bytes);
    if (Property.holds(INDEX, bytes.length, () -> checkMap(bytes, ShardIndex.read(INDEX)))) {
      Property.holds(INDEX, bytes.length, () -> checkModel(bytes));
    }
  }

  /** Sound indexes and broken ones. */
  public static List<byte[]> seeds() {
    String one = "\"a\":\"1.safetensors\",\"b\":\"1.safetensors\"";
    String two = "\"c\":\"2.safetensors\"";
    return Stream.of(
            "{\"weight_map\":{}}",
            "{\"weight_map\":{" + one + "}}\n",
            "{\"weight_map\":{" + two + "}, \"metadata\" : {}}",
            "{\"metadata\":{\"total_size\":3,\"x\":[{\"y\":null},true,2.5]},\n  \"weight_map\":{"
                + one
                + ","
                + two
                + "}}",
            "{\"weight_map\":{" + one + ",\"c\":\"1.safetensors\"}}",
            "{\"weight_map\":{\"a\":\"../1.safetensors\",\"c\\u0000\":\"2.safetensors\"}}",
            "{\"weight_map\":{\"a\":\"/1.safetensors\"}}",
            "{\"weight_map\":{\"a\":\"3.safetensors\"},\"weight_map\":{}}",
            "{\"weight_map\":{},\"metadata\":{\"a\":" + "[".repeat(20))
        .map(json -> json.getBytes(StandardCharsets.UTF_8))
        .toList();
  }

  private static Path indexBesideShards() {
    Path folder = Scratch.folder();
    try {
      for (Map.Entry<String, Map<String, Integer>> shard :
          Map.of("1.safetensors", Map.of("a", 1, "b", 2), "2.safetensors", Map.of("c", 3))
              .entrySet()) {
        Fixtures.writeShard(Scratch.file(folder, shard.getKey()), shard.getValue());
      }
      return Scratch.file(folder, "model.safetensors.index.json");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void checkMap(byte[] bytes, Map<String, String> shards) throws IOException {
    JsonNode map = JSON.readTree(bytes).path("weight_map");
    Map<String, String> expected = new TreeMap<>();
    map.properties().forEach(entry -> expected.put(entry.getKey(), entry.getValue().asText()));
    require(map.isObject() && expected.equals(new TreeMap<>(shards)), shards + " of " + map);
    for (String shard : shards.values()) {
      Path path = INDEX.resolveSibling(shard);
      require(path.normalize().equals(path), "outside the folder: " + shard);
      require(Objects.equals(INDEX.getParent(), path.getParent()), "outside the folder: " + shard);
    }
  }

  private static void checkModel(byte[] bytes) throws IOException {
    try (SafetensorsModel model = SafetensorsModel.open(INDEX)) {
      JsonNode map = JSON.readTree(bytes).path("weight_map");
      require(map.size() == model.tensors().size(), "tensors " + model.tensors());
      for (TensorEntry tensor : model.tensors()) {
        String shard = tensor.name().equals("c") ? "2.safetensors" : "1.safetensors";
        require(map.path(tensor.name()).asText().equals(shard), "shard of " + tensor);
        require(model.data(tensor.name()).byteSize() == 1, "data of " + tensor);
      }
    }
  }
}
