package dev.lionstore.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import dev.lionstore.safetensors.SafetensorsModel;
import dev.lionstore.safetensors.SafetensorsType;
import dev.lionstore.safetensors.TensorEntry;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/**
 * What says that a model is quantized. Its codes are integers or narrow floats that no step can
 * move, and its scales are floats that a step must not move.
 *
 * @param config how the configuration calls it; empty if it says nothing
 * @param tensors what tensors are called or typed so; empty if none is
 * @param example one of them
 */
record Quantization(String config, String tensors, String example) {
  private static final Set<SafetensorsType> NARROW =
      Set.of(
          SafetensorsType.F4,
          SafetensorsType.F6_E2M3,
          SafetensorsType.F6_E3M2,
          SafetensorsType.F8_E4M3,
          SafetensorsType.F8_E5M2,
          SafetensorsType.F8_E8M0,
          SafetensorsType.F8_E4M3FNUZ,
          SafetensorsType.F8_E5M2FNUZ);

  /** Last parts of names that only a method's own tensors have. */
  private static final Map<String, String> METHODS =
      Map.ofEntries(
          Map.entry("SCB", "bitsandbytes"),
          Map.entry("weight_format", "bitsandbytes"),
          Map.entry("absmax", "bitsandbytes"),
          Map.entry("nested_absmax", "bitsandbytes"),
          Map.entry("quant_map", "bitsandbytes"),
          Map.entry("bitsandbytes__nf4", "bitsandbytes"),
          Map.entry("bitsandbytes__fp4", "bitsandbytes"),
          Map.entry("g_idx", "GPTQ"),
          Map.entry("qweight", "GPTQ or AWQ"),
          Map.entry("qzeros", "GPTQ or AWQ"),
          Map.entry("weight_scale_2", "NVFP4 of ModelOpt"),
          Map.entry("weight_packed", "compressed-tensors"),
          Map.entry("weight_global_scale", "compressed-tensors"),
          Map.entry("weight_shape", "compressed-tensors"),
          Map.entry("W_q", "HQQ"),
          Map.entry("codebooks", "AQLM"),
          Map.entry("q_invperm", "EXL2 or EXL3"),
          Map.entry("trellis", "EXL2 or EXL3"),
          Map.entry("suh", "EXL2 or EXL3"),
          Map.entry("svh", "EXL2 or EXL3"),
          Map.entry("Qidxs", "QuIP#"),
          Map.entry("_data", "quanto"));

  /** Finds out. */
  static Optional<Quantization> of(SafetensorsModel model, JsonNode config) throws IOException {
    String said = said(model, config);
    for (TensorEntry tensor : model.tensors()) {
      String what = what(tensor, model);
      if (!what.isEmpty()) {
        return Optional.of(new Quantization(said, what, tensor.name()));
      }
    }
    return said.isEmpty() ? Optional.empty() : Optional.of(new Quantization(said, "", ""));
  }

  /** What is quantized otherwise than by 8-bit floats with scales of blocks. */
  static Optional<Quantization> beyondBlocks(SafetensorsModel model) {
    for (TensorEntry tensor : model.tensors()) {
      String what = what(tensor, model);
      if (!what.isEmpty() && !isOfBlocks(tensor, model)) {
        return Optional.of(new Quantization("", what, tensor.name()));
      }
    }
    return Optional.empty();
  }

  private static boolean isOfBlocks(TensorEntry tensor, SafetensorsModel model) {
    return (tensor.type() == SafetensorsType.F8_E4M3
            && has(model, tensor.name() + Fp8Blocks.SCALE_SUFFIX))
        || (tensor.type() == SafetensorsType.F8_E8M0
            && tensor.name().endsWith(Fp8Blocks.SCALE_SUFFIX));
  }

  /** Whether that can be read by {@link Fp8Blocks}. */
  boolean isBlockScaled(SafetensorsModel model) {
    return !tensors.isEmpty() && beyondBlocks(model).isEmpty();
  }

  private static String said(SafetensorsModel model, JsonNode config) throws IOException {
    JsonNode member =
        Stream.of("/quantization_config", "/text_config/quantization_config", "/compression_config")
            .map(config::at)
            .filter(JsonNode::isObject)
            .findFirst()
            .orElse(config.path("quantization_config"));
    if (member.isObject()) {
      String method = member.path("quant_method").asText();
      return method.isEmpty() ? "quantization_config" : method;
    }
    if (config.path("quantization").isObject()) {
      return "MLX";
    }
    Path folder = model.folder().orElse(Path.of(""));
    JsonNode modelOpt =
        model.folder().isPresent()
            ? ConfigFile.tree(folder.resolve("hf_quant_config.json")).path("quantization")
            : config.path("quantization");
    return modelOpt.path("quant_algo").asText();
  }

  private static String what(TensorEntry tensor, SafetensorsModel model) {
    if (NARROW.contains(tensor.type())) {
      return tensor.type().name();
    }
    String last = tensor.name().substring(tensor.name().lastIndexOf('.') + 1);
    String method = METHODS.get(last);
    if (method != null) {
      return method;
    }
    boolean isCode =
        Set.of(SafetensorsType.U8, SafetensorsType.I8, SafetensorsType.U32).contains(tensor.type());
    return isCode ? scaled(tensor.name(), model) : "";
  }

  /** Integers with a scale beside them. */
  private static String scaled(String name, SafetensorsModel model) {
    String module = name.substring(0, name.lastIndexOf('.') + 1);
    if (name.endsWith("_blocks")
        && has(model, name.substring(0, name.length() - "_blocks".length()) + "_scales")) {
      return "MXFP4";
    }
    if (has(model, module + "scales") && has(model, module + "biases")) {
      return "MLX";
    }
    return List.of("_scale", "_scale_inv", "_scales").stream().anyMatch(s -> has(model, name + s))
        ? "integers with scales"
        : "";
  }

  private static boolean has(SafetensorsModel model, String name) {
    return model.tensor(name).isPresent();
  }

  /** Why it is refused. */
  String refusal() {
    if (tensors.isEmpty()) {
      return "config.json says that the model is quantized ("
          + Text.line(config)
          + "), but no tensor is; remove quantization_config from it to train the tensors";
    }
    return "is quantized ("
        + (config.isEmpty() ? "" : Text.line(config).toLowerCase(Locale.ROOT) + " by config.json, ")
        + tensors
        + " by tensor "
        + Text.quoted(example)
        + "), and codes and scales cannot be trained; name the model that it was made of";
  }
}
