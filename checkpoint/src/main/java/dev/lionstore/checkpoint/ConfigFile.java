package dev.lionstore.checkpoint;

import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.lionstore.safetensors.SafetensorsType;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;

/**
 * What a model's configuration says about its tensors. It is read as tolerantly as Python does,
 * which writes {@code Infinity} and {@code NaN}: a configuration that cannot be read says nothing.
 */
final class ConfigFile {
  static final String NAME = "config.json";

  /** The components of a diffusers pipeline. */
  static final String PIPELINE = "model_index.json";

  private static final int MAX_BYTES = 16 << 20;
  private static final Set<String> TYPE_MEMBERS = Set.of("torch_dtype", "dtype");
  private static final Map<SafetensorsType, String> TYPE_WORDS =
      Map.of(
          SafetensorsType.F32, "float32",
          SafetensorsType.F16, "float16",
          SafetensorsType.BF16, "bfloat16");

  private static final ObjectMapper JSON =
      JsonMapper.builder().enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS).build();

  private ConfigFile() {}

  /** A document; missing if there is no such file or it is no JSON. */
  static JsonNode tree(Path file) throws IOException {
    if (!Files.isRegularFile(file) || Files.size(file) > MAX_BYTES) {
      return MissingNode.getInstance();
    }
    try {
      JsonNode tree = JSON.readTree(Files.readAllBytes(file));
      return tree == null ? MissingNode.getInstance() : tree;
    } catch (com.fasterxml.jackson.core.JsonProcessingException e) {
      return MissingNode.getInstance();
    }
  }

  /**
   * The same text with another element type, in the configuration itself and in those of its parts;
   * it is returned as it is if it tells none.
   */
  static byte[] withType(byte[] json, SafetensorsType type) throws IOException {
    String text = new String(json, StandardCharsets.UTF_8);
    StringBuilder changed = new StringBuilder();
    int copied = 0;
    int quantization = 0;
    try (JsonParser parser = JSON.createParser(text)) {
      while (parser.nextToken() != null) {
        String member = String.valueOf(parser.currentName());
        quantization = depth(parser, member, quantization);
        if (quantization == 0
            && parser.currentToken() == JsonToken.VALUE_STRING
            && TYPE_MEMBERS.contains(member)
            && TYPE_WORDS.containsValue(parser.getText())) {
          JsonLocation begin = parser.currentTokenLocation();
          int from = (int) begin.getCharOffset() + 1;
          changed.append(text, copied, from).append(TYPE_WORDS.get(type));
          copied = from + parser.getText().length();
        }
      }
    } catch (com.fasterxml.jackson.core.JsonProcessingException e) {
      return json; // no configuration that Transformers could read either
    }
    if (copied == 0) {
      return json;
    }
    return changed.append(text, copied, text.length()).toString().getBytes(StandardCharsets.UTF_8);
  }

  /**
   * How deep the parser stands in the member that tells of quantization, whose types are its own.
   */
  private static int depth(JsonParser parser, String member, int depth) {
    return switch (parser.currentToken()) {
      case START_OBJECT -> depth > 0 || member.equals("quantization_config") ? depth + 1 : 0;
      case END_OBJECT -> Math.max(0, depth - 1);
      default -> depth;
    };
  }

  /** The same configuration without what it says of quantization. */
  static byte[] withoutQuantization(byte[] json) throws IOException {
    JsonNode tree = JSON.readTree(json);
    if (!(tree instanceof ObjectNode config)) {
      return json;
    }
    config.remove("quantization_config");
    if (config.get("text_config") instanceof ObjectNode text) {
      text.remove("quantization_config");
    }
    return (JSON.writerWithDefaultPrettyPrinter().writeValueAsString(config) + "\n")
        .getBytes(StandardCharsets.UTF_8);
  }
}
