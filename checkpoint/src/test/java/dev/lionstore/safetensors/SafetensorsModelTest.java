package dev.lionstore.safetensors;

import static dev.lionstore.safetensors.Fixtures.assertSays;
import static dev.lionstore.safetensors.Fixtures.message;
import static dev.lionstore.safetensors.Fixtures.writeShard;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.FormatException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What users call a model: a file, a folder, an index. */
class SafetensorsModelTest {
  private static final String INDEX = "model.safetensors.index.json";
  private static final String ONE = "one.safetensors";
  private static final String TWO = "two.safetensors";

  @TempDir Path folder;

  @Test
  void shouldOpenAFileByItsOwnName() throws IOException {
    writeShard(folder.resolve("any.name"), Map.of("a", 1));
    Files.writeString(folder.resolve("secret.txt"), "not ours to carry");
    try (SafetensorsModel model = SafetensorsModel.open(folder.resolve("any.name"))) {
      assertEquals(1, value(model, "a"));
      assertTrue(model.folder().isEmpty());
    }
  }

  @Test
  void shouldOpenShardsByFolderAndByIndex() throws IOException {
    sharded("{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}");
    for (Path path : List.of(folder, folder.resolve(INDEX))) {
      try (SafetensorsModel model = SafetensorsModel.open(path)) {
        assertEquals(List.of("a", "b"), names(model));
        assertEquals(1, value(model, "a"));
        assertEquals(2, value(model, "b"));
        assertEquals(2, model.files().size());
        assertTrue(model.tensor("b").isPresent());
        assertTrue(model.tensor("c").isEmpty());
        assertThrows(IllegalArgumentException.class, () -> model.data("c"));
      }
    }
  }

  @Test
  void shouldPreferTheSingleFileAsTransformersDoes() throws IOException {
    sharded("{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}");
    writeShard(folder.resolve("model.safetensors"), Map.of("c", 3));
    try (SafetensorsModel model = SafetensorsModel.open(folder)) {
      assertEquals(List.of("c"), names(model));
    }
  }

  @Test
  void shouldOpenAnotherBaseName() throws IOException {
    writeShard(folder.resolve("optimizer.safetensors"), Map.of("a", 4));
    try (SafetensorsModel model = SafetensorsModel.open(folder, "optimizer")) {
      assertEquals(4, value(model, "a"));
    }
    Exception e = assertThrows(FormatException.class, () -> SafetensorsModel.open(folder));
    assertSays(e, "model is missing", "model.safetensors or model.safetensors.index.json");
    assertThrows(
        IllegalArgumentException.class, () -> SafetensorsModel.open(folder, "../optimizer"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"missing", "missing.safetensors", "missing.safetensors.index.json"})
  void shouldNameAMissingPath(String name) {
    Exception e =
        assertThrows(NoSuchFileException.class, () -> SafetensorsModel.open(folder.resolve(name)));
    assertEquals(folder.resolve(name).toString(), e.getMessage());
  }

  @Test
  void shouldGiveTensorsInTheOrderOfTheirUtf8Bytes() throws IOException {
    writeShard(
        folder.resolve("model.safetensors"),
        Map.of("\uD83E\uDD81", 1, "\uFFFD", 2, "a.10", 3, "a.2", 4, "Z", 5));
    try (SafetensorsModel model = SafetensorsModel.open(folder)) {
      assertEquals(List.of("Z", "a.10", "a.2", "\uFFFD", "\uD83E\uDD81"), names(model));
    }
  }

  @Test
  void shouldTellTheFolderThatBelongsToTheModel() throws IOException {
    sharded("{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}");
    for (Path path : List.of(folder, folder.resolve(INDEX))) {
      try (SafetensorsModel model = SafetensorsModel.open(path)) {
        assertEquals(folder, model.folder().orElseThrow());
      }
    }
  }

  @Test
  void shouldEndItsSegmentsWhenItIsClosed() throws IOException {
    sharded("{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}");
    SafetensorsModel model = SafetensorsModel.open(folder);
    MemorySegment a = model.data("a");
    model.close();
    model.close();
    assertThrows(IllegalStateException.class, () -> a.get(ValueLayout.JAVA_BYTE, 0));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "../one.safetensors",
        "/etc/one.safetensors",
        "sub/one.safetensors",
        "..\\\\one.safetensors",
        "one.safetensors\\u0000",
        "",
        "..",
        "one.bin",
        "./one.safetensors"
      })
  void shouldRefuseAShardOutsideTheFolder(String shard) throws IOException {
    assertRefused(
        "{\"a\":\"" + shard + "\",\"b\":\"two.safetensors\"}",
        "weight_map \"a\" is ",
        "plain file");
  }

  @Test
  void shouldRefuseATensorThatTheIndexLacks() throws IOException {
    writeShard(folder.resolve(ONE), Map.of("a", 1, "x", 2));
    index("{\"weight_map\":{\"a\":\"one.safetensors\"}}");
    Exception e = assertThrows(FormatException.class, () -> SafetensorsModel.open(folder));
    assertSays(e, "weight_map \"x\" is missing, expected \"one.safetensors\", which holds it");
  }

  @Test
  void shouldRefuseATensorThatItsShardHasNot() throws IOException {
    assertRefused(
        "{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\",\"c\":\"two.safetensors\"}",
        "weight_map \"c\" is \"two.safetensors\", expected a shard that holds it");
  }

  @Test
  void shouldRefuseATensorThatIsInAnotherShard() throws IOException {
    assertRefused(
        "{\"a\":\"two.safetensors\",\"b\":\"one.safetensors\"}",
        "expected \"one.safetensors\", which holds it");
  }

  @Test
  void shouldRefuseATensorThatIsInTwoShards() throws IOException {
    writeShard(folder.resolve(ONE), Map.of("a", 1, "b", 1));
    writeShard(folder.resolve(TWO), Map.of("b", 2));
    index("{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}}");
    Exception e = assertThrows(FormatException.class, () -> SafetensorsModel.open(folder));
    assertSays(e, "weight_map \"b\" is \"two.safetensors\", expected \"one.safetensors\"");
  }

  @Test
  void shouldRefuseAMissingShard() throws IOException {
    assertRefused(
        "{\"a\":\"one.safetensors\",\"b\":\"six.safetensors\"}",
        "shard \"six.safetensors\" is missing");
  }

  @Test
  void shouldRefuseADamagedShardAndNameIt() throws IOException {
    sharded("{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}");
    Files.write(folder.resolve(TWO), new byte[100]);
    Exception e = assertThrows(FormatException.class, () -> SafetensorsModel.open(folder));
    assertSays(e, "two.safetensors: header length is 0");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "[]",
        "{}",
        "{\"weight_map\":[]}",
        "{\"weight_map\":{\"a\":1}}",
        "{\"weight_map\":{\"\":\"one.safetensors\"}}",
        "{\"weight_map\":{\"a\\u0000\":\"one.safetensors\"}}",
        "{\"weight_map\":{\"a\":\"one.safetensors\",\"a\":\"one.safetensors\"}}",
        "{\"weight_map\":{},\"weight_map\":{}}",
        "{\"weight_map\":{},\"metadata\":{\"a\":1,\"a\":1}}",
        "{\"weight_map\":{},\"metadata\":{\"n\":{\"a\":[{\"b\":1,\"b\":2}]}}}",
        "{\"weight_map\":{},\"metadata\":{\"n\":[[[[[[[[[[1]]]]]]]]]]}}",
        "{\"weight_map\":{}} x",
        "{\"weight_map\":{}}\0",
        "\uFEFF{\"weight_map\":{}}",
        "{\"weight_map\":{\"\\ud800\":\"one.safetensors\"}}",
        "{\"weight_map\":{\"a\":\"\\udc00.safetensors\"}}",
        "{\"weight_map\":{}}{}",
        "{\"weight_map\":{}"
      })
  void shouldRefuseAnIndexOfAnotherForm(String json) throws IOException {
    index(json);
    Exception e = assertThrows(FormatException.class, () -> SafetensorsModel.open(folder));
    assertSays(e, INDEX + ": ");
  }

  @Test
  void shouldAcceptFreeMetadataAndWhiteSpaceBehindAnIndex() throws IOException {
    writeShard(folder.resolve(ONE), Map.of("a", 1));
    index(
        "{\"metadata\":{\"total_size\":99,\"x\":[1,{\"y\":null},2.5],\"total_parameters\":1},"
            + "\"weight_map\":{\"a\":\"one.safetensors\"}}\n \r\n\t");
    try (SafetensorsModel model = SafetensorsModel.open(folder)) {
      assertEquals(1, value(model, "a"));
    }
  }

  /** A float is what Megatron's bridge wrote, null and a total of other tensors what mergers do. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "\"metadata\":null,",
        "\"metadata\":1,",
        "\"metadata\":{},",
        "\"metadata\":{\"total_size\":null},",
        "\"metadata\":{\"total_size\":1.0},",
        "\"metadata\":{\"total_size\":-1},",
        "\"metadata\":{\"total_size\":\"1\"},",
        "\"metadata\":{\"total_size\":1,\"total_parameters\":1},",
        "\"mergekit_version\":\"0.1\",\"tool\":[{\"x\":2.5}],"
      })
  void shouldTakeAnIndexWhateverStandsBesideItsMap(String beside) throws IOException {
    writeShard(folder.resolve(ONE), Map.of("a", 1));
    index("{" + beside + "\"weight_map\":{\"a\":\"one.safetensors\"}}");
    try (SafetensorsModel model = SafetensorsModel.open(folder)) {
      assertEquals(1, value(model, "a"));
    }
  }

  /** The fuzzer's finding: what is skipped is still a stranger's text in the error. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"x\\ny\":{\"c\":1,\"c\":2},\"weight_map\":{}}",
        "{\"x\":{\"a\\nb\":{\"c\":1,\"c\":2}},\"weight_map\":{}}"
      })
  void shouldShowAKeyThatIsSkippedOnOneSafeLine(String json) throws IOException {
    index(json);
    Exception e = assertThrows(FormatException.class, () -> SafetensorsModel.open(folder));
    assertSays(e, INDEX + ": ", "\\u000a", "key \"c\" is given twice");
  }

  @Test
  void shouldRefuseAnIndexOfMalformedUtf8OrThatIsAFolder() throws IOException {
    Files.write(folder.resolve(INDEX), new byte[] {'{', '"', (byte) 0xC0, (byte) 0x80, '"'});
    Exception e = assertThrows(FormatException.class, () -> SafetensorsModel.open(folder));
    assertTrue(message(e).contains("malformed UTF-8"), message(e));
    Path other = Files.createDirectory(folder.resolve("x.safetensors.index.json"));
    Exception kind = assertThrows(FormatException.class, () -> SafetensorsModel.open(other));
    assertTrue(message(kind).contains("kind is a folder"), message(kind));
  }

  @Test
  void shouldRefuseAnEndlessIndexBeforeItIsRead() throws IOException {
    try (RandomAccessFile sparse = new RandomAccessFile(folder.resolve(INDEX).toFile(), "rw")) {
      sparse.setLength(100_000_001);
    }
    Exception e = assertThrows(FormatException.class, () -> SafetensorsModel.open(folder));
    assertSays(e, INDEX + ": size is larger, expected at most 100000000 bytes");
  }

  private void assertRefused(String weightMap, String... words) throws IOException {
    sharded(weightMap);
    Exception e = assertThrows(FormatException.class, () -> SafetensorsModel.open(folder));
    assertSays(e, INDEX + ": ", words);
  }

  private void sharded(String weightMap) throws IOException {
    writeShard(folder.resolve(ONE), Map.of("a", 1));
    writeShard(folder.resolve(TWO), Map.of("b", 2));
    index("{\"metadata\":{\"total_size\":2},\"weight_map\":" + weightMap + "}");
  }

  private void index(String json) throws IOException {
    Files.writeString(folder.resolve(INDEX), json);
  }

  private static List<String> names(SafetensorsModel model) {
    return model.tensors().stream().map(TensorEntry::name).toList();
  }

  private static int value(SafetensorsModel model, String name) {
    return model.data(name).get(ValueLayout.JAVA_BYTE, 0);
  }
}
