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
import java.util.regex.Pattern;

/**
 * How a model came, so that it can leave as it came: {@value #NAME} in a store or snapshot, beside
 * what is carried. A core store knows nothing of it. A store that has none was not imported from
 * files: its parameters leave as bf16.
 *
 * <pre>{@code
 * {"format":"lionstore-origin","version":1,"folder":"","base_name":"model",
 *  "types":{"norm.weight":"F32"},"tied":{"lm_head.weight":"model.embed_tokens.weight"}}
 * }</pre>
 *
 * @param isKnown whether the model came from files
 * @param folder where its files lie in the folder that was imported: a component of a pipeline, or
 *     empty
 * @param baseName what its files are called, without shard and suffix
 * @param types of parameters whose type was not BF16, by name
 * @param tied names that stand for another parameter, and its name
 */
public record Origin(
    boolean isKnown,
    String folder,
    String baseName,
    SortedMap<String, SafetensorsType> types,
    SortedMap<String, String> tied) {
  /** The file's name, in a store as in a snapshot. */
  static final String NAME = "lionstore-origin.json";

  private static final String FORMAT = "lionstore-origin";
  private static final int VERSION = 1;
  private static final Pattern NEWER = Pattern.compile("[2-9]|[1-9][0-9]{1,9}");
  private static final Pattern BASE_NAME = Pattern.compile("[A-Za-z0-9_][A-Za-z0-9._-]{0,199}");
  private static final JsonFactory FACTORY =
      JsonFactory.builder().enable(JsonWriteFeature.COMBINE_UNICODE_SURROGATES_IN_UTF8).build();

  /** Of a model that came from no file. */
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
    return new Origin(isKnown, folder, baseName, someTypes, someTied);
  }

  /** The same types under the file and parameter names of another. */
  Origin withNamesOf(Origin other) {
    SortedMap<String, String> names = new TreeMap<>(other.tied());
    names.putAll(tied);
    return new Origin(isKnown, other.folder(), other.baseName(), types, names);
  }

  /** The file's content. */
  byte[] encode() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (JsonGenerator json = FACTORY.createGenerator(bytes)) {
      json.writeStartObject();
      json.writeStringField("format", FORMAT);
      json.writeNumberField("version", VERSION);
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
              case "version" -> words.put(key, json.written());
              case "format", "folder", "base_name" -> words.put(key, json.string(key));
              default -> json.skip(Text.quoted(key)); // a newer version's, which is refused below
            }
          });
    }
    require(file, "format", FORMAT, words);
    require(file, "version", Integer.toString(VERSION), words);
    try {
      return new Origin(
          true, words.getOrDefault("folder", ""), words.getOrDefault("base_name", ""), types, tied);
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
    Optional<SafetensorsType> type = SafetensorsType.of(word).filter(Carried::isTrained);
    if (type.isEmpty()) {
      throw new FormatException(
          file, "type of " + Text.quoted(tensor), Text.quoted(word), "F32, F16 or BF16");
    }
    return type.get();
  }
}
