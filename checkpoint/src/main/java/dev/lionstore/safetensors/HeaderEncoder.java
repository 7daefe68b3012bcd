package dev.lionstore.safetensors;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import dev.lionstore.Utf8Order;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** Turns declarations into the bytes before the data section. */
final class HeaderEncoder {
  private static final JsonFactory FACTORY =
      JsonFactory.builder().enable(JsonWriteFeature.COMBINE_UNICODE_SURROGATES_IN_UTF8).build();

  private HeaderEncoder() {}

  /**
   * The length, the JSON and its padding; the same input gives the same bytes, whatever the order
   * of the metadata.
   *
   * @throws IllegalArgumentException if a name comes twice, metadata is no well-formed Unicode or
   *     the header gets longer than a reader accepts
   * @throws ArithmeticException if the data section gets larger than 2<sup>63</sup> - 1 bytes
   */
  static ByteBuffer encode(List<DeclaredTensor> tensors, Map<String, String> metadata)
      throws IOException {
    requireDistinct(tensors);
    ByteArrayOutputStream json = new ByteArrayOutputStream();
    try (JsonGenerator generator = FACTORY.createGenerator(json)) {
      generator.writeStartObject();
      if (!metadata.isEmpty()) {
        writeMetadata(generator, metadata);
      }
      long begin = 0;
      for (DeclaredTensor tensor : tensors) {
        long end = Math.addExact(begin, tensor.bytes());
        writeTensor(generator, tensor, begin, end);
        begin = end;
      }
      generator.writeEndObject();
    }
    while (json.size() % SafetensorsFormat.ALIGNMENT_BYTES != 0) {
      json.write(' ');
    }
    if (json.size() > SafetensorsFormat.MAX_HEADER_BYTES) {
      throw new IllegalArgumentException(
          "header is %d bytes for %d tensors, expected at most %d: use more shards"
              .formatted(json.size(), tensors.size(), SafetensorsFormat.MAX_HEADER_BYTES));
    }
    ByteBuffer bytes =
        ByteBuffer.allocate(SafetensorsFormat.LENGTH_BYTES + json.size())
            .order(ByteOrder.LITTLE_ENDIAN);
    return bytes.putLong(json.size()).put(json.toByteArray()).flip();
  }

  /** Names the first tensor that comes twice. */
  static void requireDistinct(List<DeclaredTensor> tensors) {
    Set<String> names = new HashSet<>();
    for (DeclaredTensor tensor : tensors) {
      if (!names.add(tensor.name())) {
        throw new IllegalArgumentException(
            "tensor " + Names.quote(tensor.name()) + " is given twice, expected once");
      }
    }
  }

  private static void writeMetadata(JsonGenerator generator, Map<String, String> metadata)
      throws IOException {
    Map<String, String> sorted = new TreeMap<>(Utf8Order.COMPARATOR);
    sorted.putAll(metadata);
    generator.writeObjectFieldStart(SafetensorsFormat.METADATA);
    for (Map.Entry<String, String> entry : sorted.entrySet()) {
      if (entry.getKey().length() > Names.MAX_CHARS
          || !Names.isWellFormed(entry.getKey())
          || !Names.isWellFormed(entry.getValue())) {
        throw new IllegalArgumentException(
            "metadata " + Names.quote(entry.getKey()) + " is no well-formed Unicode or too long");
      }
      generator.writeStringField(entry.getKey(), entry.getValue());
    }
    generator.writeEndObject();
  }

  private static void writeTensor(
      JsonGenerator generator, DeclaredTensor tensor, long begin, long end) throws IOException {
    generator.writeObjectFieldStart(tensor.name());
    generator.writeStringField(SafetensorsFormat.DTYPE, tensor.type().name());
    generator.writeArrayFieldStart(SafetensorsFormat.SHAPE);
    for (long dimension : tensor.shape()) {
      generator.writeNumber(dimension);
    }
    generator.writeEndArray();
    generator.writeArrayFieldStart(SafetensorsFormat.DATA_OFFSETS);
    generator.writeNumber(begin);
    generator.writeNumber(end);
    generator.writeEndArray();
    generator.writeEndObject();
  }
}
