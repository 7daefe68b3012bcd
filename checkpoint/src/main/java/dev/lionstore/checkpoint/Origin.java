package dev.lionstore.checkpoint;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import dev.lionstore.FormatException;
import dev.lionstore.Utf8Order;
import dev.lionstore.safetensors.SafetensorsModel;
import dev.lionstore.safetensors.SafetensorsType;
import dev.lionstore.safetensors.StrictJson;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * How a model came, so that it can leave as it came: {@value #NAME} in a store or snapshot, beside
 * what is carried. A core store knows nothing of it. The parameters of a store that has none leave
 * as bf16.
 *
 * <pre>{@code
 * {"format":"lionstore-origin","version":1,"folder":"","base_name":"model",
 *  "types":{"norm.weight":"F32"},"tied":{"lm_head.weight":"model.embed_tokens.weight"}}
 * }</pre>
 *
 * <p>That of a model that came from memory has {@code "from_files":false}, too.
 *
 * @param isOfFiles whether the model came from files; else its configuration may tell other types
 * @param folder where its files lie in the folder that was imported: a component of a pipeline, or
 *     empty
 * @param baseName what its files are called, without shard and suffix
 * @param types of parameters whose type was not BF16, by name
 * @param tied names that stand for another parameter, and its name
 */
public record Origin(
    boolean isOfFiles,
    String folder,
    String baseName,
    SortedMap<String, SafetensorsType> types,
    SortedMap<String, String> tied) {
  /** The file's name, in a store as in a snapshot. */
  static final String NAME = "lionstore-origin.json";

  private static final String ADAPTER = "adapter_model";
  private static final String FORMAT = "lionstore-origin";
  private static final int VERSION = 1;
  private static final Pattern NEWER = Pattern.compile("[2-9]|[1-9][0-9]{1,9}");

  /**
   * Weights that programs load by this name, with or without a variant: diffusers, PEFT, LoRA of
   * diffusers and of MLX, OpenCLIP.
   */
  private static final Pattern LOADED_BY_NAME =
      Pattern.compile(
          "(diffusion_pytorch_model|adapter_model|pytorch_lora_weights|adapters|open_clip_model"
              + "|open_clip_pytorch_model)(\\..+)?");

  private static final Pattern BASE_NAME = Pattern.compile("[A-Za-z0-9_][A-Za-z0-9._-]{0,199}");
  private static final JsonFactory FACTORY =
      JsonFactory.builder().enable(JsonWriteFeature.COMBINE_UNICODE_SURROGATES_IN_UTF8).build();

  /** Of a bf16 model that came from no file. */
  public static final Origin NONE =
      new Origin(false, "", SafetensorsModel.MODEL, new TreeMap<>(), new TreeMap<>());

  /** Copies the maps, and refuses what no file may be called. */
  public Origin {
    if (!BASE_NAME.matcher(baseName).matches()) {
      throw new IllegalArgumentException(
          "base name is " + Text.quoted(baseName) + ", expected letters, digits, '.', '_' and '-'");
    }
    if (!folder.isEmpty() && !SnapshotFiles.isInnerName(folder)) {
      throw new IllegalArgumentException(
          "folder is " + Text.quoted(folder) + ", expected one in the model's");
    }
    types = sorted(types);
    tied = sorted(tied);
  }

  private static <T> SortedMap<String, T> sorted(Map<String, T> map) {
    SortedMap<String, T> sorted = new TreeMap<>(Utf8Order.COMPARATOR);
    sorted.putAll(map);
    return Collections.unmodifiableSortedMap(sorted);
  }

  /** The name of a file that lies beside the weights. */
  String beside(String fileName) {
    return folder.isEmpty() ? fileName : folder + "/" + fileName;
  }

  /** What the files of weights in a snapshot are called; a variant tells of other types. */
  String snapshotName() {
    Matcher name = LOADED_BY_NAME.matcher(baseName);
    return folder.isEmpty() && name.matches() ? name.group(1) : SafetensorsModel.MODEL;
  }

  /**
   * The tied names that a snapshot has, too: transformers ties a model again when it loads it, but
   * PEFT asks for every name of an adapter.
   */
  SortedMap<String, String> tiedInSnapshot() {
    return baseName.equals(ADAPTER) ? tied : Collections.emptySortedMap();
  }

  /** The type in which a parameter came. */
  SafetensorsType type(String tensor) {
    return types.getOrDefault(tensor, SafetensorsType.BF16);
  }

  /** The same for some tensors; a tied name stays with the parameter that it stands for. */
  Origin matching(Predicate<String> names) {
    SortedMap<String, SafetensorsType> someTypes = new TreeMap<>(types);
    someTypes.keySet().removeIf(names.negate());
    SortedMap<String, String> someTied = new TreeMap<>(tied);
    someTied.entrySet().removeIf(e -> !names.test(e.getKey()) || !names.test(e.getValue()));
    return new Origin(isOfFiles, folder, baseName, someTypes, someTied);
  }

  /** The same types under the file and parameter names of another. */
  Origin withNamesOf(Origin other) {
    SortedMap<String, String> names = new TreeMap<>(other.tied());
    names.putAll(tied);
    return new Origin(isOfFiles, other.folder(), other.baseName(), types, names);
  }

  /** The same with types of more parameters. */
  public Origin withTypes(Map<String, SafetensorsType> more) {
    SortedMap<String, SafetensorsType> all = new TreeMap<>(types);
    all.putAll(more);
    all.values().removeIf(type -> type == SafetensorsType.BF16);
    return new Origin(isOfFiles, folder, baseName, all, tied);
  }

  /** The same with a second name of a parameter. */
  public Origin withTied(String name, String parameter) {
    SortedMap<String, String> all = new TreeMap<>(tied);
    all.put(name, parameter);
    return new Origin(isOfFiles, folder, baseName, types, all);
  }

  /** The same with files of another name. */
  public Origin withBaseName(String name) {
    return new Origin(isOfFiles, folder, name, types, tied);
  }

  /**
   * Writes it into a store that is being made, or a snapshot, synced.
   *
   * @throws java.nio.file.FileAlreadyExistsException if there is one
   */
  public void writeInto(Path place) throws IOException {
    if (!equals(NONE)) {
      CarriedContent.write(place.resolve(NAME), encode());
    }
  }

  /** The file's content. */
  byte[] encode() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (JsonGenerator json = FACTORY.createGenerator(bytes)) {
      json.writeStartObject();
      json.writeStringField("format", FORMAT);
      json.writeNumberField("version", VERSION);
      if (!isOfFiles) {
        json.writeBooleanField("from_files", false);
      }
      json.writeStringField("folder", folder);
      json.writeStringField("base_name", baseName);
      json.writeObjectFieldStart("types");
      for (Map.Entry<String, SafetensorsType> type : types.entrySet()) {
        json.writeStringField(type.getKey(), type.getValue().name());
      }
      json.writeEndObject();
      json.writeObjectFieldStart("tied");
      for (Map.Entry<String, String> name : tied.entrySet()) {
        json.writeStringField(name.getKey(), name.getValue());
      }
      json.writeEndObject();
      json.writeEndObject();
      json.writeRaw('\n');
    }
    return bytes.toByteArray();
  }

  /**
   * Reads the file's content.
   *
   * @throws FormatException if it is not what {@link #encode} writes
   */
  static Origin decode(Path file, byte[] bytes) throws IOException {
    Map<String, String> words = new HashMap<>();
    SortedMap<String, SafetensorsType> types = new TreeMap<>();
    SortedMap<String, String> tied = new TreeMap<>();
    try (StrictJson json = new StrictJson(file, "the origin", bytes)) {
      json.document(
          "\n",
          key -> {
            switch (key) {
              case "types" ->
                  json.object(key, name -> types.put(name, type(file, name, json.string(name))));
              case "tied" -> json.object(key, name -> tied.put(name, json.string(name)));
              case "version", "from_files" -> words.put(key, json.written());
              case "format", "folder", "base_name" -> words.put(key, json.string(key));
              default -> json.skip(Text.quoted(key)); // a newer version's, which is refused below
            }
          });
    }
    require(file, "format", FORMAT, words);
    require(file, "version", Integer.toString(VERSION), words);
    try {
      return new Origin(
          !words.getOrDefault("from_files", "").equals("false"),
          words.getOrDefault("folder", ""),
          words.getOrDefault("base_name", ""),
          types,
          tied);
    } catch (IllegalArgumentException e) {
      throw new FormatException(file, String.valueOf(e.getMessage()));
    }
  }

  private static void require(Path file, String field, String expected, Map<String, String> words)
      throws FormatException {
    String found = words.getOrDefault(field, "missing");
    if (!found.equals(expected)) {
      boolean isNewer = field.equals("version") && NEWER.matcher(found).matches();
      throw new FormatException(
          file, field, Text.quoted(found), expected + (isNewer ? "; use a newer Lionstore" : ""));
    }
  }

  private static SafetensorsType type(Path file, String tensor, String word)
      throws FormatException {
    Optional<SafetensorsType> type = SafetensorsType.of(word).filter(CarriedContent::isTrained);
    if (type.isEmpty()) {
      throw new FormatException(
          file, "type of " + Text.quoted(tensor), Text.quoted(word), "F32, F16 or BF16");
    }
    return type.get();
  }
}
