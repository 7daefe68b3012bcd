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
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** One test for each rule of a tensor in a header. */
class TensorRulesTest {
  private static final String W = tensor("w", "U8", "[4]", "[0,4]");

  @TempDir Path folder;

  @Test
  void shouldOrderEntriesByPlaceWhateverTheOrderInTheHeader() throws IOException {
    String json =
        header(
            tensor("c", "U8", "[2]", "[2,4]"),
            tensor("b", "U8", "[0]", "[2,2]"),
            tensor("a", "U8", "[2]", "[0,2]"));
    try (SafetensorsFile file = open(folder, json, 4)) {
      assertEquals(List.of("a", "b", "c"), file.entries().stream().map(TensorEntry::name).toList());
    }
  }

  @Test
  void shouldRefuseAnUnknownKeyInATensor() throws IOException {
    assertRefused(
        folder,
        header(W.replace("\"shape\"", "\"strides\":[1],\"shape\"")),
        4,
        "tensor \"w\" key is \"strides\"");
  }

  @ParameterizedTest
  @ValueSource(strings = {"dtype", "shape", "data_offsets"})
  void shouldRefuseATensorWithoutOneOfItsFields(String key) throws IOException {
    String without =
        W.replaceFirst("\"" + key + "\":(\"[^\"]*\"|\\[[^]]*\\])", "")
            .replace(",,", ",")
            .replace("{,", "{")
            .replace(",}", "}");
    assertRefused(folder, header(without), 4, "tensor \"w\" " + key + " is missing");
  }

  @ParameterizedTest
  @ValueSource(strings = {"u8", "F33", "", "U8 ", "float32", "BF16\\u0000", "I128"})
  void shouldRefuseAnUnknownType(String dtype) throws IOException {
    assertRefused(
        folder, header(tensor("w", dtype, "[4]", "[0,4]")), 4, "tensor \"w\" dtype is ", "BF16");
  }

  @ParameterizedTest
  @ValueSource(strings = {"8", "null", "[\"U8\"]"})
  void shouldRefuseATypeThatIsNoString(String dtype) throws IOException {
    assertRefused(
        folder, header(W.replace("\"U8\"", dtype)), 4, "tensor \"w\" dtype is ", "a string");
  }

  @ParameterizedTest
  @EnumSource(SafetensorsType.class)
  void shouldReadEveryTypeAtItsOwnSize(SafetensorsType type) throws IOException {
    String json = header(tensor("w", type.name(), "[8]", "[0," + type.bits() + "]"));
    try (SafetensorsFile file = open(folder, json, type.bits())) {
      assertEquals(type, file.entries().getFirst().type());
      assertEquals(type.bits(), file.data(file.entries().getFirst()).byteSize());
    }
    assertRefused(folder, json, type.bits() + 1, "data section is");
    String larger = header(tensor("w", type.name(), "[16]", "[0," + type.bits() + "]"));
    assertRefused(folder, larger, type.bits(), 2 * type.bits() + " bytes, as " + type);
  }

  @ParameterizedTest
  @ValueSource(strings = {"[3]|F4|[0,2]", "[1]|F6_E2M3|[0,1]", "[2]|F6_E3M2|[0,2]"})
  void shouldRefuseElementsThatDoNotFillWholeBytes(String line) throws IOException {
    List<String> part = List.of(line.split("\\|", -1));
    assertRefused(
        folder,
        header(tensor("w", part.get(1), part.get(0), part.get(2))),
        2,
        "tensor \"w\" shape is",
        "whole bytes");
  }

  @Test
  void shouldRefuseAnEmptyTensorName() throws IOException {
    assertRefused(folder, header(tensor("", "U8", "[4]", "[0,4]")), 4, "tensor name is \"\"");
  }

  @Test
  void shouldRefuseATensorNameThatIsTooLong() throws IOException {
    String name = "n".repeat(Names.MAX_CHARS);
    try (SafetensorsFile file = open(folder, header(tensor(name, "U8", "[4]", "[0,4]")), 4)) {
      assertTrue(file.entry(name).isPresent());
    }
    assertRefused(folder, header(tensor(name + "n", "U8", "[4]", "[0,4]")), 4, " is ");
  }

  @ParameterizedTest
  @ValueSource(strings = {"4", "null", "\"[4]\"", "{}", "{\"0\":4}"})
  void shouldRefuseAShapeThatIsNoArray(String shape) throws IOException {
    assertRefused(
        folder, header(tensor("w", "U8", shape, "[0,4]")), 4, "tensor \"w\" shape is ", "an array");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "-1",
        "-0",
        "4.0",
        "4e0",
        "1e3",
        "\"4\"",
        "null",
        "true",
        "[4]",
        "{}",
        "9223372036854775808",
        "18446744073709551616",
        "99999999999999999999999999999999999999999"
      })
  void shouldRefuseADimensionThatIsNoPlainInteger(String dimension) throws IOException {
    assertRefused(
        folder, header(tensor("w", "U8", "[" + dimension + "]", "[0,4]")), 4, "w", " is ");
  }

  @Test
  void shouldRefuseARankOverTheLimit() throws IOException {
    String ones = String.join(",", Collections.nCopies(63, "1"));
    try (SafetensorsFile file =
        open(folder, header(tensor("w", "U8", "[4," + ones + "]", "[0,4]")), 4)) {
      assertEquals(64, file.entries().getFirst().shape().size());
    }
    assertRefused(
        folder,
        header(tensor("w", "U8", "[4,1," + ones + "]", "[0,4]")),
        4,
        "tensor \"w\" shape is longer");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "[0]",
        "[]",
        "[0,4,4]",
        "[4,0]",
        "[0,5]",
        "[5,5]",
        "[-1,3]",
        "[0.0,4]",
        "4",
        "null",
        "[0,9223372036854775807]",
        "[9223372036854775807,9223372036854775807]",
        "[0,\"4\"]"
      })
  void shouldRefuseOffsetsThatAreNoPlaceInTheFile(String offsets) throws IOException {
    assertRefused(
        folder, header(tensor("w", "U8", "[4]", offsets)), 4, "tensor \"w\" data_offsets");
  }

  @ParameterizedTest
  @ValueSource(strings = {"[0,3]", "[1,4]", "[0,0]", "[2,2]"})
  void shouldRefuseAPlaceThatIsNotTheSize(String offsets) throws IOException {
    assertRefused(
        folder,
        header(tensor("w", "U8", "[4]", offsets)),
        4,
        "tensor \"w\" data_offsets",
        "4 bytes, as U8 [4] takes");
  }

  @Test
  void shouldRefuseAGapBeforeBetweenAndBehindTensors() throws IOException {
    String v = tensor("v", "U8", "[2]", "[6,8]");
    assertRefused(folder, header(v), 8, "tensor \"v\" begin offset is 6, expected 0");
    assertRefused(folder, header(v, W), 8, "tensor \"v\" begin offset is 6, expected 4");
    assertRefused(folder, header(W), 5, "data section is 5 bytes, expected 4 bytes");
    assertRefused(folder, "{}", 1, "data section is 1 bytes, expected 0 bytes");
  }

  @Test
  void shouldRefuseOverlapThatLeavesAGapElsewhere() throws IOException {
    assertRefused(
        folder,
        header(W, tensor("v", "U8", "[4]", "[2,6]")),
        8,
        "tensor \"v\" begin offset is 2, expected 4");
  }

  @Test
  void shouldRefuseATensorWithoutElementsInsideAnother() throws IOException {
    assertRefused(
        folder,
        header(W, tensor("v", "U8", "[0]", "[2,2]")),
        4,
        "tensor \"v\" begin offset is 2, expected 4");
  }

  @Test
  void shouldShowAStrangersNameOnOneSafeLine() throws IOException {
    String name = "a\\n\\u001b[2J\\u202e" + "x".repeat(500);
    Path path = file(folder, bytes(header(tensor(name, "F33", "[4]", "[0,4]")), 4));
    FormatException e = assertThrows(FormatException.class, () -> SafetensorsFile.open(path));
    assertTrue(message(e).contains("\"a\\u000a\\u001b[2J\\u202exxx"), message(e));
    assertTrue(message(e).length() < 600 + folder.toString().length(), message(e));
    assertEquals(1, message(e).lines().count());
    assertTrue(Files.exists(path));
  }
}
