package dev.lionstore.safetensors;

import static dev.lionstore.safetensors.Fixtures.declared;
import static dev.lionstore.safetensors.Fixtures.message;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Shards as Hugging Face splits them. */
class ShardedWriterTest {
  @TempDir Path folder;

  /** The example in split_state_dict_into_shards_factory: limit 10, sizes 6 6 2 6 2 2. */
  @Test
  void shouldSplitAsHuggingFaceDoes() {
    assertEquals(
        List.of(List.of(6L), List.of(6L, 2L), List.of(6L, 2L, 2L)), split(10, 6, 6, 2, 6, 2, 2));
    assertEquals(List.of(List.of(5L, 5L), List.of(1L)), split(10, 5, 5, 1));
    assertEquals(List.of(List.of(11L), List.of(3L, 3L)), split(10, 3, 11, 3));
    assertEquals(List.of(List.of(11L), List.of(12L)), split(10, 11, 12));
    assertEquals(List.of(List.of(10L, 0L)), split(10, 10, 0));
    assertEquals(List.of(List.of()), split(10));
  }

  @Test
  void shouldWriteOneShardWithoutAnIndex() throws IOException {
    write("model", 100, 3, 4);
    assertEquals(List.of("model.safetensors"), names());
    try (SafetensorsModel model = SafetensorsModel.open(folder)) {
      assertHolds(model, 3, 4);
      assertEquals(Map.of("format", "pt"), model.files().getFirst().metadata());
    }
  }

  @Test
  void shouldWriteShardsAndAnIndexThatReadBack() throws IOException {
    write("optimizer", 10, 6, 11, 4, 0, 9);
    assertEquals(
        List.of(
            "optimizer-00001-of-00003.safetensors",
            "optimizer-00002-of-00003.safetensors",
            "optimizer-00003-of-00003.safetensors",
            "optimizer.safetensors.index.json"),
        names());
    try (SafetensorsModel model = SafetensorsModel.open(folder, "optimizer")) {
      assertHolds(model, 6, 11, 4, 0, 9);
      for (SafetensorsFile file : model.files()) {
        assertEquals(Map.of("format", "pt"), file.metadata());
      }
    }
  }

  @Test
  void shouldWriteTheIndexAsTransformersDoes() throws IOException {
    write("model", 3, 2, 2);
    assertEquals(
        """
        {
          "metadata": {
            "total_size": 4
          },
          "weight_map": {
            "t0": "model-00001-of-00002.safetensors",
            "t1": "model-00002-of-00002.safetensors"
          }
        }
        """,
        Files.readString(folder.resolve("model.safetensors.index.json")));
  }

  @Test
  void shouldDeleteEveryFileWhenItIsNotFinished() throws IOException {
    try (ShardedWriter writer = create("model", 3, 2, 2, 2)) {
      writer.write("t0", MemorySegment.ofArray(new byte[2]));
      writer.write("t1", MemorySegment.ofArray(new byte[1]));
      assertEquals(2, names().size());
      Exception e = assertThrows(IllegalStateException.class, writer::finish);
      assertTrue(message(e).contains("\"t1\" first"), message(e));
    }
    assertEquals(List.of(), names());
  }

  @Test
  void shouldRefuseMoreThanDeclared() throws IOException {
    try (ShardedWriter writer = create("model", 3, 2, 2)) {
      writer.write("t0", MemorySegment.ofArray(new byte[2]));
      writer.write("t0", MemorySegment.NULL);
      MemorySegment one = MemorySegment.ofArray(new byte[1]);
      assertThrows(IllegalStateException.class, () -> writer.write("t0", one));
      assertThrows(IllegalArgumentException.class, () -> writer.write("t9", one));
      writer.write("t1", MemorySegment.ofArray(new byte[2]));
      writer.finish();
      assertThrows(IllegalStateException.class, () -> writer.write("t1", one));
      assertThrows(IllegalStateException.class, writer::finish);
    }
    assertEquals(3, names().size());
  }

  @ParameterizedTest
  @ValueSource(strings = {"model-00002-of-00002.safetensors", "model.safetensors.index.json"})
  void shouldRefuseAFolderThatHoldsOneOfTheFiles(String name) throws IOException {
    Files.writeString(folder.resolve(name), "mine");
    assertThrows(FileAlreadyExistsException.class, () -> create("model", 3, 2, 2).close());
    assertEquals("mine", Files.readString(folder.resolve(name)));
    assertEquals(List.of(name), names());
  }

  @ParameterizedTest
  @ValueSource(strings = {"../model", "a/b", "..\\m", "/m", "m\0"})
  void shouldRefuseAPrefixThatLeavesTheFolder(String prefix) {
    Exception e = assertThrows(IllegalArgumentException.class, () -> create(prefix, 3, 2).close());
    assertTrue(message(e).startsWith("prefix is "), message(e));
  }

  @Test
  void shouldRefuseANameGivenTwiceAndALimitOfNothing() {
    List<DeclaredTensor> twice =
        List.of(declared("a", SafetensorsType.U8, 2L), declared("a", SafetensorsType.U8, 2L));
    assertThrows(
        IllegalArgumentException.class,
        () -> ShardedWriter.create(folder, "model", twice, 2, Map.of()).close());
    assertThrows(IllegalArgumentException.class, () -> create("model", 0, 2).close());
    assertFalse(Files.exists(folder.resolve("model.safetensors")));
  }

  private static List<List<Long>> split(long most, int... sizes) {
    return ShardPlan.of("m", tensors(sizes), most).shards().stream()
        .map(shard -> shard.tensors().stream().map(DeclaredTensor::bytes).toList())
        .toList();
  }

  private static List<DeclaredTensor> tensors(int... sizes) {
    List<DeclaredTensor> tensors = new ArrayList<>();
    for (int size : sizes) {
      tensors.add(declared("t" + tensors.size(), SafetensorsType.U8, (long) size));
    }
    return tensors;
  }

  private ShardedWriter create(String prefix, long most, int... sizes) throws IOException {
    return ShardedWriter.create(folder, prefix, tensors(sizes), most, Map.of("format", "pt"));
  }

  private void write(String prefix, long most, int... sizes) throws IOException {
    try (ShardedWriter writer = create(prefix, most, sizes)) {
      for (int i = 0; i < sizes.length; i++) {
        byte[] data = new byte[sizes[i]];
        java.util.Arrays.fill(data, (byte) i);
        writer.write("t" + i, MemorySegment.ofArray(data));
      }
      writer.finish();
      assertEquals(
          names(),
          writer.files().stream().map(path -> folder.relativize(path).toString()).toList());
    }
  }

  private static void assertHolds(SafetensorsModel model, int... sizes) {
    assertEquals(sizes.length, model.tensors().size());
    for (int i = 0; i < sizes.length; i++) {
      byte[] data = model.data("t" + i).toArray(ValueLayout.JAVA_BYTE);
      assertEquals(sizes[i], data.length);
      for (byte value : data) {
        assertEquals(i, value);
      }
    }
  }

  private List<String> names() throws IOException {
    try (Stream<Path> paths = Files.list(folder)) {
      return paths.map(path -> folder.relativize(path).toString()).sorted().toList();
    }
  }
}
