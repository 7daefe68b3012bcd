package dev.lionstore.safetensors;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.core.util.Separators;
import dev.lionstore.FormatException;
import dev.lionstore.Utf8Order;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** The JSON file that says which shard holds which tensor. */
final class ShardIndex {
  private static final String METADATA = "metadata";
  private static final String TOTAL_SIZE = "total_size";
  private static final String WEIGHT_MAP = "weight_map";

  private static final JsonFactory FACTORY =
      JsonFactory.builder().enable(JsonWriteFeature.COMBINE_UNICODE_SURROGATES_IN_UTF8).build();

  private ShardIndex() {}

  /** Reads the map from tensor to shard file name, in the order of the tensors' names. */
  static Map<String, String> read(Path path) throws IOException {
    byte[] document = bytes(path);
    Map<String, String> shards = new TreeMap<>(Utf8Order.COMPARATOR);
    Set<String> keys = new HashSet<>();
    try (StrictJson json = new StrictJson(path, "index", document)) {
      json.document(
          " \t\r\n",
          key -> {
            keys.add(key);
            // Writers put what they like beside the map, and their totals are of other things:
            // null, a float, the bytes before tied tensors were dropped.
            if (key.equals(WEIGHT_MAP)) {
              json.object(key, tensor -> shards.put(tensor, shard(json, tensor)));
            } else {
              json.skip("index key " + Names.quote(key));
            }
          });
    }
    if (!keys.contains(WEIGHT_MAP)) {
      throw new FormatException(path, WEIGHT_MAP, "missing", "given");
    }
    return shards;
  }

  /** The index of a plan: sorted and indented as Hugging Face writes it. */
  static byte[] encode(ShardPlan plan) throws IOException {
    Map<String, String> shards = new TreeMap<>(Utf8Order.COMPARATOR);
    long totalBytes = 0;
    for (ShardPlan.Shard shard : plan.shards()) {
      for (DeclaredTensor tensor : shard.tensors()) {
        shards.put(tensor.name(), shard.fileName());
        totalBytes = Math.addExact(totalBytes, tensor.bytes());
      }
    }
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (JsonGenerator json = FACTORY.createGenerator(bytes)) {
      json.setPrettyPrinter(indented());
      json.writeStartObject();
      json.writeObjectFieldStart(METADATA);
      json.writeNumberField(TOTAL_SIZE, totalBytes);
      json.writeEndObject();
      json.writeObjectFieldStart(WEIGHT_MAP);
      for (Map.Entry<String, String> entry : shards.entrySet()) {
        json.writeStringField(entry.getKey(), entry.getValue());
      }
      json.writeEndObject();
      json.writeEndObject();
      json.writeRaw('\n');
    }
    return bytes.toByteArray();
  }

  private static byte[] bytes(Path path) throws IOException {
    SafetensorsFile.requireRegularFile(path);
    try (InputStream in = Files.newInputStream(path)) {
      byte[] document = in.readNBytes(SafetensorsFormat.MAX_HEADER_BYTES + 1);
      if (document.length > SafetensorsFormat.MAX_HEADER_BYTES) {
        throw new FormatException(
            path, "size", "larger", "at most " + SafetensorsFormat.MAX_HEADER_BYTES + " bytes");
      }
      return document;
    }
  }

  private static String shard(StrictJson json, String tensor) throws IOException {
    if (!Names.isTensorName(tensor)) {
      throw json.wrong(WEIGHT_MAP + " key", Names.quote(tensor), Names.TENSOR_NAME);
    }
    String field = WEIGHT_MAP + " " + Names.quote(tensor);
    String shard = json.string(field);
    if (!Names.isShardName(shard)) {
      throw json.wrong(field, Names.quote(shard), Names.SHARD_NAME);
    }
    return shard;
  }

  private static DefaultPrettyPrinter indented() {
    DefaultIndenter indenter = new DefaultIndenter("  ", "\n");
    DefaultPrettyPrinter printer =
        new DefaultPrettyPrinter(
            Separators.createDefaultInstance()
                .withObjectFieldValueSpacing(Separators.Spacing.AFTER));
    printer.indentObjectsWith(indenter);
    return printer;
  }
}
