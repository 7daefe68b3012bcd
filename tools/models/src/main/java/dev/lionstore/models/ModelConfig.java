package dev.lionstore.models;

import dev.lionstore.FormatException;
import dev.lionstore.checkpoint.Text;
import dev.lionstore.safetensors.StrictJson;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.regex.Pattern;

/**
 * The members of a {@code config.json}. A member that is {@code null} counts as absent, as in
 * Transformers. Every refusal names the file, the member, what stands there and what may.
 */
final class ModelConfig {
  private static final String COUNT = "a whole number from 1 to " + Integer.MAX_VALUE;
  private static final Pattern DIGITS = Pattern.compile("[0-9]{1,10}");

  private final Path file;
  private final Map<String, Value> members = new HashMap<>();

  /**
   * A member's value.
   *
   * @param text of a string, number or word
   * @param elements of an array, or the keys of an object
   */
  private record Value(StrictJson.Kind kind, String text, List<Value> elements) {
    String shown() {
      return switch (kind) {
        case OBJECT -> "an object";
        case ARRAY -> "a list of " + elements.size();
        case STRING -> Text.quoted(text);
        case NUMBER, WORD -> text;
      };
    }

    Optional<String> string() {
      return kind == StrictJson.Kind.STRING ? Optional.of(text) : Optional.empty();
    }

    OptionalLong count(long low) {
      if (kind == StrictJson.Kind.NUMBER && DIGITS.matcher(text).matches()) {
        long value = Long.parseLong(text);
        if (value >= low && value <= Integer.MAX_VALUE) {
          return OptionalLong.of(value);
        }
      }
      return OptionalLong.empty();
    }
  }

  /**
   * Reads a configuration.
   *
   * @param file what errors name
   * @throws FormatException if it is not one JSON object
   */
  ModelConfig(Path file, byte[] json) throws IOException {
    this.file = file;
    try (StrictJson parser = new StrictJson(file, "the configuration", json)) {
      parser.document(
          " \t\r\n",
          key -> {
            Value value = value(parser, key);
            if (value.kind() != StrictJson.Kind.WORD || !value.text().equals("null")) {
              members.put(key, value);
            }
          });
    }
  }

  private static Value value(StrictJson json, String field) throws IOException {
    StrictJson.Kind kind = json.kind();
    List<Value> elements = new ArrayList<>();
    String text = "";
    switch (kind) {
      case OBJECT ->
          json.object(
              field,
              key -> {
                json.skip(key);
                elements.add(new Value(StrictJson.Kind.STRING, key, List.of()));
              });
      case ARRAY ->
          json.array(field, index -> elements.add(value(json, field + "[" + index + "]")));
      case STRING -> text = json.string(field);
      case NUMBER, WORD -> text = json.written();
    }
    return new Value(kind, text, elements);
  }

  Path file() {
    return file;
  }

  /** The refusal of a member. */
  FormatException wrong(String member, Object found, Object expected) {
    return new FormatException(file, member, found, expected);
  }

  private FormatException wrong(String member, Object expected) {
    Value value = members.get(member);
    return wrong(member, value == null ? "missing" : value.shown(), expected);
  }

  boolean has(String member) {
    return members.containsKey(member);
  }

  /** A size that must be there. */
  long count(String member) throws FormatException {
    return optionalCount(member).orElseThrow(() -> wrong(member, COUNT));
  }

  long count(String member, long unlessGiven) throws FormatException {
    return optionalCount(member).orElse(unlessGiven);
  }

  OptionalLong optionalCount(String member) throws FormatException {
    Value value = members.get(member);
    if (value == null) {
      return OptionalLong.empty();
    }
    OptionalLong count = value.count(1);
    if (count.isEmpty()) {
      throw wrong(member, COUNT);
    }
    return count;
  }

  /** A list of indices; empty unless it is given. */
  List<Long> indices(String member) throws FormatException {
    List<Long> indices = new ArrayList<>();
    for (Value element : array(member)) {
      indices.add(
          element.count(0).stream()
              .boxed()
              .findFirst()
              .orElseThrow(() -> wrong(member + " element", element.shown(), "an index")));
    }
    return indices;
  }

  /** A list of strings; empty unless it is given. */
  List<String> words(String member) throws FormatException {
    List<String> words = new ArrayList<>();
    for (Value element : array(member)) {
      words.add(
          element
              .string()
              .orElseThrow(() -> wrong(member + " element", element.shown(), "a string")));
    }
    return words;
  }

  private List<Value> array(String member) throws FormatException {
    Value value = members.get(member);
    if (value != null && value.kind() != StrictJson.Kind.ARRAY) {
      throw wrong(member, "a list");
    }
    return value == null ? List.of() : value.elements();
  }

  /** How many members an object has; empty unless it is given. */
  OptionalLong size(String member) throws FormatException {
    Value value = members.get(member);
    if (value == null) {
      return OptionalLong.empty();
    }
    if (value.kind() != StrictJson.Kind.OBJECT) {
      throw wrong(member, "an object");
    }
    return OptionalLong.of(value.elements().size());
  }

  boolean flag(String member, boolean unlessGiven) throws FormatException {
    Value value = members.get(member);
    if (value == null) {
      return unlessGiven;
    }
    if (value.kind() != StrictJson.Kind.WORD) {
      throw wrong(member, "true or false");
    }
    return value.text().equals("true");
  }

  /** A number from 0 to a bound. */
  double number(String member, double unlessGiven, double bound) throws FormatException {
    Value value = members.get(member);
    if (value == null) {
      return unlessGiven;
    }
    double number =
        value.kind() == StrictJson.Kind.NUMBER ? Double.parseDouble(value.text()) : Double.NaN;
    if (!(number >= 0 && number <= bound)) {
      throw wrong(member, "a number from 0 to " + bound);
    }
    return number;
  }

  Optional<String> word(String member) throws FormatException {
    Value value = members.get(member);
    if (value == null) {
      return Optional.empty();
    }
    Optional<String> word = value.string();
    if (word.isEmpty()) {
      throw wrong(member, "a string");
    }
    return word;
  }
}
