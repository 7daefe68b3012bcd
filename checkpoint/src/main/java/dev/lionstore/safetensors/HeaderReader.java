package dev.lionstore.safetensors;

import dev.lionstore.FormatException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Checks a header before anything uses it. What it holds on to is bounded by the header's size.
 * {@code FormatException} names the tensor and the field.
 */
final class HeaderReader {
  private static final String PART = "header";

  private final Path file;
  private final StrictJson json;
  private final long dataBytes;
  private final Map<String, String> metadata = new LinkedHashMap<>();
  private final List<TensorEntry> entries = new ArrayList<>();
  private long declaredBytes;

  private HeaderReader(Path file, StrictJson json, long dataBytes) {
    this.file = file;
    this.json = json;
    this.dataBytes = dataBytes;
  }

  /**
   * Reads the JSON of {@code file}.
   *
   * @param bytes the JSON with its padding
   * @param dataBytes the size of the data section
   */
  static FileHeader read(Path file, byte[] bytes, long dataBytes) throws IOException {
    if (bytes[0] != '{') {
      String found = String.format("0x%02x", bytes[0]);
      throw new FormatException(file, "first byte of the header", found, "'{'");
    }
    try (StrictJson json = new StrictJson(file, PART, bytes)) {
      HeaderReader reader = new HeaderReader(file, json, dataBytes);
      json.document(" ", reader::member);
      return reader.header();
    }
  }

  /** Refuses what is too short for any header. */
  static void requireRoom(Path file, long fileBytes) throws FormatException {
    if (fileBytes < SafetensorsFormat.LENGTH_BYTES + SafetensorsFormat.MIN_HEADER_BYTES) {
      throw new FormatException(file, "size", fileBytes + " bytes", "at least 10");
    }
  }

  /**
   * The size of the JSON in bytes.
   *
   * @param found what the file's first 8 bytes say
   * @param fileBytes the file's size, at least 10
   */
  static int length(Path file, long found, long fileBytes) throws FormatException {
    long most =
        Math.min(SafetensorsFormat.MAX_HEADER_BYTES, fileBytes - SafetensorsFormat.LENGTH_BYTES);
    // Compared before anything is added to it: N + 8 wraps for the largest N.
    if (found < SafetensorsFormat.MIN_HEADER_BYTES || found > most) {
      throw new FormatException(
          file, "header length", Long.toUnsignedString(found), "2 to " + most);
    }
    return (int) found;
  }

  private void member(String key) throws IOException {
    if (key.equals(SafetensorsFormat.METADATA)) {
      json.object(key, k -> metadata.put(k, json.string(key + " " + Names.quote(k))));
      return;
    }
    if (!Names.isTensorName(key)) {
      throw json.wrong("tensor name", Names.quote(key), Names.TENSOR_NAME);
    }
    TensorEntry entry = new TensorFields(json, key).read(dataBytes);
    // Overlapping tensors are refused here, before there are millions of them.
    if (entry.bytes() > dataBytes - declaredBytes) {
      throw json.wrong(
          "data section",
          dataBytes + " bytes",
          "more for the tensors up to " + Names.quote(key) + ": they overlap or it is cut short");
    }
    declaredBytes += entry.bytes();
    entries.add(entry);
  }

  private FileHeader header() throws FormatException {
    entries.sort(Comparator.comparingLong(TensorEntry::begin).thenComparingLong(TensorEntry::end));
    long expected = 0;
    for (TensorEntry entry : entries) {
      if (entry.begin() != expected) {
        String field = "tensor " + Names.quote(entry.name()) + " begin offset";
        throw new FormatException(
            file, field, entry.begin(), expected + ", the end of the tensor before it");
      }
      expected = entry.end();
    }
    if (expected != dataBytes) {
      throw new FormatException(
          file, "data section", dataBytes + " bytes", expected + " bytes as the tensors need");
    }
    return new FileHeader(Collections.unmodifiableMap(metadata), List.copyOf(entries));
  }
}
