package dev.lionstore.safetensors;

import static dev.lionstore.safetensors.Fixtures.assertRefused;
import static dev.lionstore.safetensors.Fixtures.bytes;
import static dev.lionstore.safetensors.Fixtures.file;
import static dev.lionstore.safetensors.Fixtures.header;
import static dev.lionstore.safetensors.Fixtures.message;
import static dev.lionstore.safetensors.Fixtures.open;
import static dev.lionstore.safetensors.Fixtures.tensor;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.FormatException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** One test for each rule of the header as a whole. */
class HeaderRulesTest {
  private static final String W = tensor("w", "U8", "[4]", "[0,4]");

  @TempDir Path folder;

  @Test
  void shouldReadAFileThatKeepsTheRules() throws IOException {
    String json = header("\"__metadata__\":{\"b\":\"2\",\"a\":\"\"}", W);
    try (SafetensorsFile file = open(folder, json, 4)) {
      TensorEntry w = file.entry("w").orElseThrow();
      assertEquals(new TensorEntry("w", SafetensorsType.U8, List.of(4L), 0, 4), w);
      assertEquals(List.of(w), file.entries());
      assertEquals(Map.of("a", "", "b", "2"), file.metadata());
      assertEquals(4, file.data(w).byteSize());
      assertEquals(1, file.data(w).get(ValueLayout.JAVA_BYTE, 0));
      assertTrue(file.data(w).isReadOnly());
    }
  }

  @Test
  void shouldReadAnEmptyObject() throws IOException {
    try (SafetensorsFile file = open(folder, "{}", 0)) {
      assertEquals(List.of(), file.entries());
    }
  }

  @Test
  void shouldAcceptPaddingSpacesAndWhiteSpaceBetweenTokens() throws IOException {
    String json = "{\n\t" + W.replace(":", " :\r\n") + "\n}      ";
    try (SafetensorsFile file = open(folder, json, 4)) {
      assertEquals(1, file.entries().size());
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 7, 8, 9})
  void shouldRefuseAFileTooShortForAHeader(int size) throws IOException {
    assertRefused(folder, new byte[size], "size is " + size + " bytes", "at least 10");
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 1, 13, 100_000_001, Integer.MAX_VALUE, 1L << 32, Long.MAX_VALUE, -1})
  void shouldRefuseAHeaderLengthOutsideTheFile(long length) throws IOException {
    byte[] bytes = bytes("{}          ", 0);
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putLong(length);
    assertRefused(folder, bytes, "header length is " + Long.toUnsignedString(length), "2 to 12");
  }

  @Test
  void shouldRefuseAHeaderOverTheLimitThoughTheFileHoldsIt() throws IOException {
    Path path = folder.resolve("large.safetensors");
    try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
      file.setLength(600_000_000);
      file.write(
          ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(100_000_001).array());
    }
    FormatException e = assertThrows(FormatException.class, () -> SafetensorsFile.open(path));
    assertTrue(message(e).contains("header length is 100000001"), message(e));
  }

  @Test
  void shouldReadAHeaderOfTheLimit() throws IOException {
    byte[] json = new byte[100_000_000];
    Arrays.fill(json, (byte) ' ');
    json[0] = '{';
    json[json.length - 1] = '}';
    try (SafetensorsFile file = SafetensorsFile.open(file(folder, bytes(json, 0)))) {
      assertEquals(8 + json.length, file.dataOffset());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {" {}", "\n{}", "[]", "\"{}\"", "null", "\uFEFF{}", "  "})
  void shouldRefuseAHeaderThatDoesNotBeginWithABrace(String json) throws IOException {
    assertRefused(folder, json, 0, "first byte of the header is 0x", "expected '{'");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"{", "{\"", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":{", "{\"__metadata__\":{}"})
  void shouldRefuseAHeaderThatIsCutShort(String json) throws IOException {
    assertRefused(folder, json + " ", 0, "header is ");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{'a':1}", "{a:1}", "{/**/}", "{#\n}", "{,}", "{\"__metadata__\":{},}", "{\"\\x\":1}",
        "{\"a\nb\":1}", "{]", "{\"a\":NaN}", "{\"a\":+1}", "{\"a\":01}", "{\"a\":.5}", "{\"a\":tru}"
      })
  void shouldRefuseWhatIsNotJson(String json) throws IOException {
    assertRefused(folder, json, 0, " is ");
  }

  @ParameterizedTest
  @ValueSource(strings = {"\n", "\t", "\r", "\0", "x", "{}", "  \n", "\0 ", ",", "]", "}", "{} }"})
  void shouldRefuseAnythingButSpacesBehindTheObject(String trailing) throws IOException {
    assertRefused(folder, "{}" + trailing, 0, "header is ");
  }

  @ParameterizedTest
  @ValueSource(
      ints = {
        0x80,
        0xFF,
        0xC080,
        0xC1BF,
        0xE08080,
        0xEDA080,
        0xEDBFBF,
        0xF4908080,
        0xF8888080,
        0xC3
      })
  void shouldRefuseMalformedUtf8(int sequence) throws IOException {
    String hex = Integer.toHexString(sequence);
    String latin = "";
    for (int i = 0; i < hex.length(); i += 2) {
      latin += (char) Integer.parseInt(hex.substring(i, i + 2), 16);
    }
    for (String json :
        List.of(
            header(tensor(latin, "U8", "[4]", "[0,4]")),
            header("\"__metadata__\":{\"k\":\"" + latin + "\"}", W))) {
      assertRefused(
          folder, bytes(json.getBytes(StandardCharsets.ISO_8859_1), 4), "malformed UTF-8");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"\\ud800", "\\udc00", "\\udc00\\ud800", "a\\ud83dz"})
  void shouldRefuseHalfASurrogatePairFromAnEscape(String text) throws IOException {
    assertRefused(folder, header(tensor(text, "U8", "[4]", "[0,4]")), 4, " is ");
    assertRefused(folder, header("\"__metadata__\":{\"k\":\"" + text + "\"}", W), 4, " is ");
    assertRefused(folder, header("\"__metadata__\":{\"" + text + "\":\"\"}", W), 4, " is ");
  }

  @Test
  void shouldTakeAnEscapedPairForTheCharacter() throws IOException {
    try (SafetensorsFile file =
        open(folder, header(tensor("\\ud83e\\udd81", "U8", "[4]", "[0,4]")), 4)) {
      assertTrue(file.entry("\uD83E\uDD81").isPresent());
    }
  }

  @Test
  void shouldRefuseAKeyGivenTwiceAtAnyLevel() throws IOException {
    assertRefused(folder, header(W, W), 4, "header key \"w\" is given twice");
    assertRefused(
        folder,
        header(W, tensor("\\u0077", "U8", "[0]", "[4,4]")),
        4,
        "header key \"w\" is given twice");
    assertRefused(
        folder,
        header("\"__metadata__\":{}", W, "\"__metadata__\":{}"),
        4,
        "header key \"__metadata__\" is given twice");
    assertRefused(
        folder,
        header("\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}", W),
        4,
        "__metadata__ key \"k\" is given twice");
    assertRefused(
        folder,
        header(W.replace("\"shape\"", "\"dtype\":\"U8\",\"shape\"")),
        4,
        "tensor \"w\" key \"dtype\" is given twice");
  }

  @ParameterizedTest
  @ValueSource(strings = {"1", "\"x\"", "null", "true", "[]", "[{}]"})
  void shouldRefuseATensorOrMetadataThatIsNoObject(String value) throws IOException {
    assertRefused(folder, header("\"w\":" + value), 4, "tensor \"w\" is ", "an object");
    assertRefused(
        folder, header("\"__metadata__\":" + value, W), 4, "__metadata__ is ", "an object");
  }

  @ParameterizedTest
  @ValueSource(strings = {"1", "null", "true", "[]", "{}", "1.5"})
  void shouldRefuseMetadataThatIsNoString(String value) throws IOException {
    assertRefused(
        folder,
        header("\"__metadata__\":{\"k\":" + value + "}", W),
        4,
        "__metadata__ \"k\" is ",
        "a string");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {"1|the number 1", "-1.5e3|the number -1.5e3", "true|true", "null|null"})
  void whatIsFoundIsNotQuotedLikeTheStringThatIsExpected(String value, String found)
      throws IOException {
    assertRefused(
        folder,
        header("\"__metadata__\":{\"k\":" + value + "}", W),
        4,
        "__metadata__ \"k\" is " + found + ", expected a string");
  }

  @Test
  void shouldRefuseAFolderAndNameAMissingFile() {
    FormatException e = assertThrows(FormatException.class, () -> SafetensorsFile.open(folder));
    assertTrue(message(e).contains("a folder, expected a regular file"), message(e));
    assertThrows(NoSuchFileException.class, () -> SafetensorsFile.open(folder.resolve("missing")));
  }

  @Test
  @Timeout(60)
  void shouldRefuseAPipeWithoutWaitingForAWriter() throws IOException, InterruptedException {
    for (String name : List.of("pipe", "pipe.safetensors.index.json")) {
      Path pipe = folder.resolve(name);
      assertEquals(0, new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor());
      FormatException e =
          assertThrows(FormatException.class, () -> SafetensorsModel.open(pipe).close());
      assertTrue(message(e).contains("a device or pipe, expected a regular file"), message(e));
    }
  }

  @Test
  void shouldRefuseAnEntryOfAnotherFileAndAccessAfterClose() throws IOException {
    SafetensorsFile file = open(folder, header(W), 4);
    TensorEntry w = file.entries().getFirst();
    TensorEntry other = new TensorEntry("w", SafetensorsType.I8, List.of(4L), 0, 4);
    assertThrows(IllegalArgumentException.class, () -> file.data(other));
    var data = file.data(w);
    file.close();
    file.close();
    assertThrows(IllegalStateException.class, () -> data.get(ValueLayout.JAVA_BYTE, 0));
  }
}
