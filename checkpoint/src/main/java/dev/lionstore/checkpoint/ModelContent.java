package dev.lionstore.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import dev.lionstore.FormatException;
import dev.lionstore.Utf8Order;
import dev.lionstore.safetensors.DeclaredTensor;
import dev.lionstore.safetensors.SafetensorsModel;
import dev.lionstore.safetensors.SafetensorsType;
import dev.lionstore.safetensors.TensorEntry;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Predicate;

/**
 * What each tensor of a model is to a store: a parameter, a further name of one, a scale that goes
 * into one, or something that is carried.
 *
 * @param parameters trained or frozen, each once, in name order; a dequantized one as BF16
 * @param tied names of parameters that have another name here
 * @param carried names of what is no parameter
 * @param buffers those of them that are floats and known by their names
 * @param wide those of them that are floats of a type that no store trains
 * @param dequantized parameters that are read through their scales, by name
 */
record ModelContent(
    List<DeclaredTensor> parameters,
    SortedMap<String, String> tied,
    Set<String> carried,
    List<String> buffers,
    List<String> wide,
    Map<String, Fp8Blocks> dequantized) {
  private static final Set<SafetensorsType> WIDE = Set.of(SafetensorsType.F64, SafetensorsType.C64);

  /**
   * Finds out.
   *
   * @param path what errors name
   * @throws FormatException if the model is quantized, or names that are tied differ
   * @throws IllegalArgumentException if a pattern matches nothing: it was not meant so
   */
  static ModelContent of(Path path, SafetensorsModel model, ImportOptions options)
      throws IOException {
    JsonNode config =
        model.folder().isPresent()
            ? ConfigFile.tree(model.folder().get().resolve(ConfigFile.NAME))
            : MissingNode.getInstance();
    Map<String, Fp8Blocks> dequantized = dequantized(path, model, options, config);
    requireSense(model, options);
    Predicate<TensorEntry> isBuffer = Buffers.of(model.tensors(), config);
    List<TensorEntry> parameters = new ArrayList<>();
    List<String> buffers = new ArrayList<>();
    List<String> wide = new ArrayList<>();
    for (TensorEntry tensor : model.tensors()) {
      boolean isTrained = CarriedContent.isTrained(tensor.type());
      ImportOptions.Said said = options.saidOf(tensor.name());
      if (said == ImportOptions.Said.CARRIED || !(isTrained || WIDE.contains(tensor.type()))) {
        continue;
      }
      boolean isKnown = said == ImportOptions.Said.NOTHING && isBuffer.test(tensor);
      if (isKnown && isTrained) {
        buffers.add(tensor.name());
      } else if (!isKnown && !isTrained) {
        wide.add(tensor.name());
      } else if (!isKnown && !isScale(tensor, dequantized)) {
        parameters.add(tensor);
      }
    }
    SortedMap<String, String> tied = TiedNames.in(path, model, parameters, config);
    SortedMap<String, DeclaredTensor> declared = new TreeMap<>(Utf8Order.COMPARATOR);
    for (TensorEntry tensor : parameters) {
      if (!tied.containsKey(tensor.name())) {
        declared.put(tensor.name(), tensor.declaration());
      }
    }
    dequantized.forEach((name, blocks) ->
        declared.put(
            name, new DeclaredTensor(name, SafetensorsType.BF16, blocks.weight().shape())));
    Set<String> carried = new HashSet<>();
    for (TensorEntry tensor : model.tensors()) {
      String name = tensor.name();
      if (!declared.containsKey(name) && !tied.containsKey(name) && !isScale(tensor, dequantized)) {
        carried.add(name);
      }
    }
    return new ModelContent(
        List.copyOf(declared.values()),
        tied,
        carried,
        List.copyOf(buffers),
        List.copyOf(wide),
        dequantized);
  }

  private static boolean isScale(TensorEntry tensor, Map<String, Fp8Blocks> dequantized) {
    String name = tensor.name();
    return name.endsWith(Fp8Blocks.SCALE_SUFFIX)
        && dequantized.containsKey(
            name.substring(0, name.length() - Fp8Blocks.SCALE_SUFFIX.length()));
  }

  private static Map<String, Fp8Blocks> dequantized(
      Path path, SafetensorsModel model, ImportOptions options, JsonNode config)
      throws IOException {
    Optional<Quantization> found = Quantization.of(model, config);
    Map<String, Fp8Blocks> dequantized = new LinkedHashMap<>();
    if (found.isEmpty()) {
      if (options.reading().quantized() == ImportOptions.Quantized.DEQUANTIZED) {
        throw new FormatException(path, "is not quantized; leave --dequantize out");
      }
      return dequantized;
    }
    if (!options.dequantizes()) {
      String advice = found.get().isBlockScaled(model) ? ", or add --dequantize" : "";
      throw new FormatException(path, found.get().refusal() + advice);
    }
    Optional<Quantization> other = Quantization.beyondBlocks(model);
    if (other.isPresent()) {
      throw new FormatException(
          path, other.get().refusal() + "; --dequantize reads F8_E4M3 with scales of blocks alone");
    }
    Fp8Blocks.of(path, model, config)
        .forEach(blocks -> dequantized.put(blocks.weight().name(), blocks));
    return dequantized;
  }

  private static void requireSense(SafetensorsModel model, ImportOptions options) {
    if (!model.tensors().isEmpty()) {
      options.requireMatches(model.tensors());
    }
  }

  /** How many tensors of the model are none of parameters, tied and carried: scales. */
  int scales() {
    return dequantized.size();
  }

  /** How the model came. */
  Origin origin(String folder, String baseName) {
    SortedMap<String, SafetensorsType> types = new TreeMap<>();
    for (DeclaredTensor parameter : parameters) {
      if (parameter.type() != SafetensorsType.BF16) {
        types.put(parameter.name(), parameter.type());
      }
    }
    return new Origin(true, folder, baseName, types, tied);
  }
}
