package dev.lionstore.safetensors;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.FormatException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** Files made by hand, so that no test of the reader depends on the writer. */
final class Fixtures {
  private Fixtures() {}

  /** A file of that header and data bytes 1, 2, 3 ... */
  static byte[] bytes(String json, int dataBytes) {
    return bytes(json.getBytes(StandardCharsets.UTF_8), dataBytes);
  }

  static byte[] bytes(byte[] header, int dataBytes) {
    ByteBuffer file =
        ByteBuffer.allocate(8 + header.length + dataBytes).order(ByteOrder.LITTLE_ENDIAN);
    file.putLong(header.length).put(header);
    for (int i = 1; i <= dataBytes; i++) {
      file.put((byte) i);
    }
    return file.array();
  }

  static Path file(Path folder, byte[] bytes) throws IOException {
    return Files.write(folder.resolve("model.safetensors"), bytes);
  }

  /** One tensor's member of a header. */
  static String tensor(String name, String dtype, String shape, String offsets) {
    return "\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":%s}"
        .formatted(name, dtype, shape, offsets);
  }

  static String header(String... members) {
    return "{" + String.join(",", members) + "}";
  }

  static SafetensorsFile open(Path folder, String json, int dataBytes) throws IOException {
    return SafetensorsFile.open(file(folder, bytes(json, dataBytes)));
  }

  /** Asserts that the file is refused and that the error says why and names the file. */
  static void assertRefused(Path folder, byte[] bytes, String... words) throws IOException {
    Path file = file(folder, bytes);
    assertSays(
        assertThrows(FormatException.class, () -> SafetensorsFile.open(file).close()),
        "model.safetensors: ",
        words);
  }

  static void assertRefused(Path folder, String json, int dataBytes, String... words)
      throws IOException {
    assertRefused(folder, bytes(json, dataBytes), words);
  }

  static String message(Exception e) {
    return String.valueOf(e.getMessage());
  }

  static void assertSays(Exception e, String first, String... words) {
    String message = message(e);
    assertTrue(message.contains(first), message);
    assertTrue(message.contains(" is ") && message.contains(", expected "), message);
    assertTrue(message.lines().count() == 1, "one line: " + message);
    for (String word : words) {
      assertTrue(message.contains(word), () -> "\"" + word + "\" in: " + message);
    }
  }

  static DeclaredTensor declared(String name, SafetensorsType type, Long... shape) {
    return new DeclaredTensor(name, type, List.of(shape));
  }

  static MemorySegment segment(byte... bytes) {
    return MemorySegment.ofArray(bytes);
  }

  /** Writes a file of U8 tensors, one byte of data each. */
  static void writeShard(Path path, Map<String, Integer> tensors) throws IOException {
    List<DeclaredTensor> declared =
        tensors.keySet().stream().map(name -> declared(name, SafetensorsType.U8, 1L)).toList();
    try (SafetensorsWriter writer = SafetensorsWriter.create(path, declared, Map.of())) {
      for (DeclaredTensor tensor : declared) {
        int value = tensors.getOrDefault(tensor.name(), 0);
        writer.write(tensor.name(), segment((byte) value));
      }
      writer.finish();
    }
  }
}
