package dev.lionstore.safetensors;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import dev.lionstore.FormatException;
import java.io.ByteArrayInputStream;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Set;

/**
 * Pulls one JSON object out of bytes and refuses what other readers let pass: malformed UTF-8, half
 * a surrogate pair, a key given twice at any level, a number that is no plain integer where one is
 * wanted, anything but spaces behind the object. Each refusal is a {@link FormatException}.
 */
public final class StrictJson implements Closeable {
  /** Handles one member or element; the parser stands on its value. */
  @FunctionalInterface
  public interface ValueReader {
    /** Reads the value, with one of the methods here. */
    void read(String key) throws IOException;
  }

  /** What a value is. */
  public enum Kind {
    /** An object. */
    OBJECT,
    /** An array. */
    ARRAY,
    /** A string. */
    STRING,
    /** A number. */
    NUMBER,
    /** One of {@code true}, {@code false} and {@code null}. */
    WORD
  }

  /** No document of ours nests deeper than 3; an index's free metadata may, up to this. */
  private static final int MAX_DEPTH = 8;

  /** The digits of 2<sup>63</sup> - 1. */
  private static final int MAX_DIGITS = 19;

  private static final String INTEGER = "an integer from 0 to " + Long.MAX_VALUE;

  /**
   * Names come in millions and are used once: a symbol table would only hold on to them. The
   * lengths are bounded by the document, which is bounded before it is read.
   */
  private static final JsonFactory FACTORY =
      JsonFactory.builder()
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxDocumentLength(SafetensorsFormat.MAX_HEADER_BYTES)
                  .maxStringLength(SafetensorsFormat.MAX_HEADER_BYTES)
                  .maxNameLength(Names.MAX_CHARS)
                  .maxNestingDepth(MAX_DEPTH)
                  .maxNumberLength(2 * MAX_DIGITS)
                  .build())
          .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
          .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
          .build();

  private final Path file;
  private final String part;
  private final byte[] document;
  private final JsonParser parser;

  /**
   * Reads a document.
   *
   * @param file the file it is from, for errors
   * @param part what the document is in that file, for errors
   * @param document its bytes, at most {@link SafetensorsFormat#MAX_HEADER_BYTES}
   */
  public StrictJson(Path file, String part, byte[] document) throws IOException {
    this.file = file;
    this.part = part;
    this.document = document;
    this.parser =
        FACTORY.createParser(
            new InputStreamReader(
                new ByteArrayInputStream(document),
                StandardCharsets.UTF_8
                    .newDecoder()
                    .onMalformedInput(CodingErrorAction.REPORT)
                    .onUnmappableCharacter(CodingErrorAction.REPORT)));
  }

  /** The refusal of this file for that field. */
  FormatException wrong(String field, Object found, Object expected) {
    return new FormatException(file, field, found, expected);
  }

  /** Reads the whole document: one object, then nothing but {@code padding} up to the end. */
  public void document(String padding, ValueReader members) throws IOException {
    next();
    object(part, members);
    int end = document.length;
    while (padding.indexOf(document[end - 1]) >= 0) {
      end--;
    }
    // With nothing but white space behind the object, the last other byte is its brace.
    if (document[end - 1] != '}' || pull() != JsonToken.NOT_AVAILABLE) {
      throw wrong(part, "followed by other bytes", "one JSON object and padding");
    }
  }

  /** Reads an object and hands over each key, all different. */
  public void object(String field, ValueReader members) throws IOException {
    expect(JsonToken.START_OBJECT, field, "an object");
    Set<String> keys = new HashSet<>();
    while (next() != JsonToken.END_OBJECT) {
      String key = parser.currentName();
      if (!Names.isWellFormed(key)) {
        throw wrong(field + " key", Names.quote(key), "well-formed Unicode");
      }
      if (!keys.add(key)) {
        throw wrong(field + " key " + Names.quote(key), "given twice", "given once");
      }
      next();
      members.read(key);
    }
  }

  /** Reads an array and hands over each element's index as text. */
  public void array(String field, ValueReader elements) throws IOException {
    expect(JsonToken.START_ARRAY, field, "an array");
    for (int i = 0; next() != JsonToken.END_ARRAY; i++) {
      elements.read(Integer.toString(i));
    }
  }

  /** Reads a string. */
  public String string(String field) throws IOException {
    expect(JsonToken.VALUE_STRING, field, "a string");
    String text = text();
    if (!Names.isWellFormed(text)) {
      throw wrong(field, Names.quote(text), "well-formed Unicode");
    }
    return text;
  }

  /** Reads an integer from 0 to 2<sup>63</sup> - 1, written with digits only. */
  long integer(String field) throws IOException {
    expect(JsonToken.VALUE_NUMBER_INT, field, INTEGER);
    String digits = text();
    try {
      if (digits.charAt(0) != '-' && digits.length() <= MAX_DIGITS) {
        return Long.parseLong(digits);
      }
    } catch (NumberFormatException e) {
      // Nineteen digits can still be too many: refused below like the others.
    }
    throw wrong(field, number(digits), INTEGER);
  }

  /** What the value is that the parser stands on. */
  public Kind kind() {
    return switch (parser.currentToken()) {
      case START_OBJECT -> Kind.OBJECT;
      case START_ARRAY -> Kind.ARRAY;
      case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> Kind.NUMBER;
      case VALUE_TRUE, VALUE_FALSE, VALUE_NULL -> Kind.WORD;
      default -> Kind.STRING;
    };
  }

  /** Reads a number or a word as it is written. */
  public String written() throws IOException {
    return text();
  }

  /**
   * Reads any value and drops it; keys are compared all the same.
   *
   * @param field for errors: a stranger's key in quotes
   */
  public void skip(String field) throws IOException {
    JsonToken token = parser.currentToken();
    if (token == JsonToken.START_OBJECT) {
      object(field, key -> skip(Names.quote(key)));
    } else if (token == JsonToken.START_ARRAY) {
      array(field, this::skip);
    } else {
      text();
    }
  }

  @Override
  public void close() throws IOException {
    parser.close();
  }

  private void expect(JsonToken wanted, String field, String expected) throws IOException {
    if (parser.currentToken() != wanted) {
      throw wrong(field, found(), expected);
    }
  }

  private String found() throws IOException {
    return switch (kind()) {
      case OBJECT -> "an object";
      case ARRAY -> "an array";
      case NUMBER -> number(text());
      case WORD -> text();
      case STRING -> Names.quote(text());
    };
  }

  /** As JSON writes it, cut short like all of a stranger's text: quotes would make it a string. */
  private static String number(String digits) {
    String quoted = Names.quote(digits);
    return "the number " + quoted.substring(1, quoted.length() - 1);
  }

  private JsonToken next() throws IOException {
    JsonToken token = pull();
    if (token == JsonToken.NOT_AVAILABLE) {
      throw wrong(part, "cut short", "one JSON object");
    }
    return token;
  }

  /** The next token; {@code NOT_AVAILABLE} at the end, which a blocking parser never says. */
  private JsonToken pull() throws IOException {
    try {
      JsonToken token = parser.nextToken();
      return token == null ? JsonToken.NOT_AVAILABLE : token;
    } catch (JsonProcessingException | CharacterCodingException e) {
      throw malformed(e);
    }
  }

  /** A token's text, which the parser may decode only now. */
  private String text() throws IOException {
    try {
      return parser.getText();
    } catch (JsonProcessingException | CharacterCodingException e) {
      throw malformed(e);
    }
  }

  private FormatException malformed(IOException e) {
    String reason =
        e instanceof JsonProcessingException json
            ? Names.quote(json.getOriginalMessage().replaceFirst(": enable .*", ""))
            : "malformed UTF-8";
    FormatException wrong = wrong(part, reason, "strict UTF-8 JSON of the known form");
    wrong.initCause(e);
    return wrong;
  }
}
