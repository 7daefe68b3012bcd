package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.FormatException;
import dev.lionstore.safetensors.SafetensorsType;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The file that keeps how a model came. */
class OriginTest {
  private static final Path FILE = Path.of("s", Origin.NAME);

  private static Origin decode(String json) throws IOException {
    return Origin.decode(FILE, json.getBytes(StandardCharsets.UTF_8));
  }

  private static Origin origin() {
    return new Origin(
        true,
        "unet",
        "diffusion_pytorch_model.fp16",
        new TreeMap<>(
            Map.of("odd \"\n\u00e9 \uD83E\uDD81", SafetensorsType.F32, "h", SafetensorsType.F16)),
        new TreeMap<>(Map.of("lm_head.weight", "w")));
  }

  @Test
  void whatIsWrittenIsReadAgain() throws IOException {
    assertEquals(origin(), Origin.decode(FILE, origin().encode()));
    assertEquals(SafetensorsType.BF16, origin().type("any other"));
  }

  /** As a stranger's file it could name places outside the folder that is written. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"format\":\"lionstore-origin\" | \"format\":\"x\" | format is 'x', expected lionstore-",
        "\"version\":1 | \"version\":2 | version is '2', expected 1; use a newer Lionstore",
        "\"version\":1 | \"version\":-1 | version is '-1', expected 1",
        "\"folder\":\"unet\" | \"folder\":\"../x\" | folder is '../x'",
        "\"folder\":\"unet\" | \"folder\":\"/etc\" | folder is '/etc'",
        "diffusion_pytorch_model.fp16 | ../model | base name is '../model'",
        "diffusion_pytorch_model.fp16 | a/b | base name is 'a/b'",
        "\"F16\" | \"I64\" | type of 'h' is 'I64', expected F32, F16 or BF16",
        "\"tied\":{ | \"tied\":[ | ",
        "} |  | "
      })
  void whatCannotBeIsRefused(String written, String changed, String words) throws IOException {
    String json = new String(origin().encode(), StandardCharsets.UTF_8);
    String bad = json.replace(written, changed == null ? "" : changed);
    FormatException e = assertThrows(FormatException.class, () -> decode(bad));
    String message = String.valueOf(e.getMessage());
    assertTrue(message.startsWith(FILE + ": "), message);
    assertTrue(words == null || message.contains(words), message);
    assertEquals(1, message.lines().count(), message);
  }

  @Test
  void aMemberOfANewerVersionHidesNotWhichVersionItIs() {
    FormatException e =
        assertThrows(
            FormatException.class,
            () -> decode("{\"format\":\"lionstore-origin\",\"new\":[1],\"version\":2}"));
    assertTrue(e.isOfNewerVersion(), e + "");
  }
}
