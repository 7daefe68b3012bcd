package dev.lionstore.models;

import dev.lionstore.FormatException;
import dev.lionstore.checkpoint.InitialTensor;
import dev.lionstore.checkpoint.Text;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The tensors of a model, computed from its {@code config.json}: named, shaped and typed as in the
 * checkpoint that Transformers writes, tied weights once. Nothing of weights is read.
 *
 * @param modelType the family, as {@code model_type} names it
 * @param tensors in the model's order, with what their first values are drawn from
 */
public record ModelShape(String modelType, List<InitialTensor> tensors) {
  private interface Family {
    List<InitialTensor> tensors(ModelConfig config) throws FormatException;
  }

  private static final Map<String, Family> FAMILIES =
      new TreeMap<>(
          Map.of(
              "gpt2", Gpt2::tensors,
              "llama", Decoder::llama,
              "mistral", Decoder::mistral,
              "mixtral", Decoder::mixtral,
              "qwen2", Decoder::qwen2,
              "qwen2_moe", Decoder::qwen2Moe,
              "qwen3", Decoder::qwen3,
              "vit", VisionTransformer::tensors));

  /** Copies. */
  public ModelShape {
    tensors = List.copyOf(tensors);
  }

  /** The families whose tensors are known, in order. */
  public static List<String> families() {
    return List.copyOf(FAMILIES.keySet());
  }

  /**
   * Computes a model's tensors.
   *
   * @param file what errors name
   * @param json the content of a {@code config.json}
   * @throws FormatException if it is none, of a family that is not known, or of a model that cannot
   *     be: naming the member, what stands there and what may
   */
  public static ModelShape of(Path file, byte[] json) throws IOException {
    ModelConfig config = new ModelConfig(file, json);
    if (config.has("quantization_config")) {
      throw config.wrong(
          "quantization_config", "given", "none: the tensors of quantized models are others");
    }
    String type = config.word("model_type").orElse("");
    Family family = FAMILIES.get(type);
    if (family == null) {
      throw config.wrong(
          "model_type",
          type.isEmpty() ? "missing" : Text.quoted(type),
          "one of " + String.join(", ", families()) + ", whose tensors are known");
    }
    return new ModelShape(type, family.tensors(config));
  }

  /** How many parameters there are. */
  public long parameterCount() {
    return tensors.stream().mapToLong(tensor -> tensor.declared().count()).sum();
  }
}
