package dev.lionstore.safetensors;

import dev.lionstore.FormatException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Reads one tensor's object in a header. */
final class TensorFields {
  private final StrictJson json;
  private final String name;
  private final String field;
  private @Nullable SafetensorsType type;
  private @Nullable List<Long> shape;
  private @Nullable List<Long> offsets;

  TensorFields(StrictJson json, String name) {
    this.json = json;
    this.name = name;
    this.field = "tensor " + Names.quote(name);
  }

  /** Reads the object; {@code dataBytes} is the size of the data section. */
  TensorEntry read(long dataBytes) throws IOException {
    json.object(field, this::member);
    SafetensorsType knownType = required(SafetensorsFormat.DTYPE, type);
    List<Long> knownShape = required(SafetensorsFormat.SHAPE, shape);
    List<Long> place = required(SafetensorsFormat.DATA_OFFSETS, offsets);
    if (place.size() != 2) {
      throw json.wrong(at(SafetensorsFormat.DATA_OFFSETS), place, "[begin, end]");
    }
    long begin = place.get(0);
    long end = place.get(1);
    if (begin > end || end > dataBytes) {
      throw json.wrong(
          at(SafetensorsFormat.DATA_OFFSETS),
          place,
          "begin <= end <= " + dataBytes + ", the size of the data section");
    }
    long bytes = bytes(knownType, knownShape);
    if (bytes != end - begin) {
      throw json.wrong(
          at(SafetensorsFormat.DATA_OFFSETS),
          place,
          "%d bytes, as %s %s takes".formatted(bytes, knownType, knownShape));
    }
    return new TensorEntry(name, knownType, knownShape, begin, end);
  }

  private void member(String key) throws IOException {
    switch (key) {
      case SafetensorsFormat.DTYPE -> type = type();
      case SafetensorsFormat.SHAPE -> shape = integers(key, SafetensorsFormat.MAX_RANK);
      case SafetensorsFormat.DATA_OFFSETS -> offsets = integers(key, 2);
      default -> throw json.wrong(field + " key", Names.quote(key), "dtype, shape or data_offsets");
    }
  }

  private SafetensorsType type() throws IOException {
    String dtype = json.string(at(SafetensorsFormat.DTYPE));
    return SafetensorsType.of(dtype)
        .orElseThrow(() ->
            json.wrong(
                at(SafetensorsFormat.DTYPE),
                Names.quote(dtype),
                "one of " + List.of(SafetensorsType.values())));
  }

  private List<Long> integers(String key, int most) throws IOException {
    List<Long> values = new ArrayList<>();
    json.array(
        at(key),
        index -> {
          if (values.size() == most) {
            throw json.wrong(at(key), "longer", "at most " + most + " integers");
          }
          values.add(json.integer(at(key) + "[" + index + "]"));
        });
    return List.copyOf(values);
  }

  private long bytes(SafetensorsType knownType, List<Long> knownShape) throws FormatException {
    try {
      return SafetensorsFormat.bytes(knownType, SafetensorsFormat.elements(knownShape));
    } catch (ArithmeticException e) {
      throw json.wrong(
          at(SafetensorsFormat.SHAPE),
          knownType + " " + knownShape + " (" + e.getMessage() + ")",
          "whole bytes, below 2^63 bits");
    }
  }

  private <T> T required(String key, @Nullable T value) throws FormatException {
    if (value == null) {
      throw json.wrong(at(key), "missing", "given");
    }
    return value;
  }

  private String at(String key) {
    return field + " " + key;
  }
}
