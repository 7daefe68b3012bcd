package dev.lionstore.safetensors;

import static dev.lionstore.safetensors.Fixtures.declared;
import static dev.lionstore.safetensors.Fixtures.segment;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the writer writes, the reader reads. */
class RoundTripTest {
  private static final List<String> NAMES =
      List.of(
          "model.layers.0.weight",
          " ",
          "a b\tc\n",
          "../x",
          "/etc/passwd",
          "C:\\x",
          "\"quoted\\\"",
          "\u0001\u007f\u2028",
          "\u00e9\u4e2d",
          "\uD83E\uDD81",
          "{}",
          "__metadata",
          "dtype");

  @TempDir Path folder;

  @Test
  void shouldReadBackRandomFiles() throws IOException {
    long seed = System.nanoTime();
    System.out.println("shouldReadBackRandomFiles: seed " + seed);
    Random random = new Random(seed);
    for (int round = 0; round < 100; round++) {
      Map<DeclaredTensor, byte[]> tensors = new LinkedHashMap<>();
      for (String name : NAMES.subList(0, random.nextInt(NAMES.size() + 1))) {
        DeclaredTensor tensor = randomTensor(random, name);
        byte[] data = new byte[Math.toIntExact(tensor.bytes())];
        random.nextBytes(data);
        tensors.put(tensor, data);
      }
      Path path = folder.resolve(round + ".safetensors");
      Map<String, String> metadata = Map.of("\uD83E\uDD81 k", "v\n\"", "", "");
      write(random, path, tensors, metadata);
      assertHolds(path, tensors, metadata);
    }
  }

  @Test
  void shouldWriteTheHeaderThatTheFormatShows() throws IOException {
    Path path = folder.resolve("x.safetensors");
    List<DeclaredTensor> tensors =
        List.of(
            declared("\uD83E\uDD81", SafetensorsType.BF16, 2L, 1L),
            declared("s", SafetensorsType.U8));
    Map<String, String> metadata = new LinkedHashMap<>();
    metadata.put("z", "1");
    metadata.put("format", "pt");
    try (SafetensorsWriter writer = SafetensorsWriter.create(path, tensors, metadata)) {
      writer.write("\uD83E\uDD81", segment((byte) 1, (byte) 2, (byte) 3, (byte) 4));
      writer.write("s", segment((byte) 5));
      writer.finish();
    }
    String json =
        "{\"__metadata__\":{\"format\":\"pt\",\"z\":\"1\"},"
            + "\"\uD83E\uDD81\":{\"dtype\":\"BF16\",\"shape\":[2,1],\"data_offsets\":[0,4]},"
            + "\"s\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[4,5]}}";
    byte[] utf8 = json.getBytes(StandardCharsets.UTF_8);
    ByteBuffer file = ByteBuffer.wrap(Files.readAllBytes(path)).order(ByteOrder.LITTLE_ENDIAN);
    int padded = (utf8.length + 7) / 8 * 8;
    assertEquals(padded, file.getLong());
    byte[] header = new byte[padded];
    file.get(header);
    assertEquals(
        json + " ".repeat(padded - utf8.length), new String(header, StandardCharsets.UTF_8));
    byte[] data = new byte[file.remaining()];
    file.get(data);
    assertArrayEquals(new byte[] {1, 2, 3, 4, 5}, data);
  }

  @Test
  void shouldStreamPiecesLargerThanOneWriteFromHeapAndNativeMemory() throws IOException {
    byte[] data = new byte[(5 << 19) + 3];
    new Random(1).nextBytes(data);
    Path path = folder.resolve("x.safetensors");
    List<DeclaredTensor> tensors =
        List.of(
            declared("heap", SafetensorsType.U8, (long) data.length),
            declared("native", SafetensorsType.U8, (long) data.length));
    try (Arena arena = Arena.ofConfined();
        SafetensorsWriter writer = SafetensorsWriter.create(path, tensors, Map.of())) {
      writer.write("heap", MemorySegment.ofArray(data));
      writer.write("native", arena.allocateFrom(ValueLayout.JAVA_BYTE, data));
      writer.finish();
    }
    try (SafetensorsFile file = SafetensorsFile.open(path)) {
      for (TensorEntry entry : file.entries()) {
        assertArrayEquals(data, file.data(entry).toArray(ValueLayout.JAVA_BYTE));
      }
    }
  }

  private static DeclaredTensor randomTensor(Random random, String name) {
    SafetensorsType[] types = SafetensorsType.values();
    SafetensorsType type = types[random.nextInt(types.length)];
    List<Long> shape = new ArrayList<>();
    for (int rank = random.nextInt(4); rank > 0; rank--) {
      shape.add((long) random.nextInt(5));
    }
    if (type.bits() < Byte.SIZE) {
      shape.add(4L);
    }
    return new DeclaredTensor(name, type, shape);
  }

  private static void write(
      Random random, Path path, Map<DeclaredTensor, byte[]> tensors, Map<String, String> metadata)
      throws IOException {
    try (SafetensorsWriter writer =
        SafetensorsWriter.create(path, List.copyOf(tensors.keySet()), metadata)) {
      for (Map.Entry<DeclaredTensor, byte[]> tensor : tensors.entrySet()) {
        MemorySegment data = MemorySegment.ofArray(tensor.getValue());
        long cut = random.nextInt((int) data.byteSize() + 1);
        writer.write(tensor.getKey().name(), data.asSlice(0, cut));
        writer.write(tensor.getKey().name(), data.asSlice(cut));
      }
      writer.finish();
    }
  }

  private static void assertHolds(
      Path path, Map<DeclaredTensor, byte[]> tensors, Map<String, String> metadata)
      throws IOException {
    try (SafetensorsFile file = SafetensorsFile.open(path)) {
      assertEquals(metadata, file.metadata());
      assertEquals(
          List.copyOf(tensors.keySet()),
          file.entries().stream().map(TensorEntry::declaration).toList());
      for (TensorEntry entry : file.entries()) {
        assertArrayEquals(
            tensors.get(entry.declaration()), file.data(entry).toArray(ValueLayout.JAVA_BYTE));
        // Padding puts the data section, and so the first tensor, on a multiple of 8.
        assertEquals(entry.begin() % 8, file.data(entry).address() % 8);
      }
    }
  }
}
