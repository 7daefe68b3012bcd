package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CompareTest {
  @TempDir Path folder;

  private Object[] words(Path text, String... more) {
    List<String> words =
        List.of(
            "compare",
            text.toString(),
            "--run",
            folder.resolve("run").toString(),
            "--json",
            "--steps=3",
            "--layers=1",
            "--width=32",
            "--heads=2",
            "--feed-forward=32",
            "--context=16",
            "--batch=2",
            "--threads=1",
            "--contender",
            "lion lr=1e-3,3e-3 wd=0.1",
            "--contender",
            "adamw-bf16 lr=1e-2 wd=0.1 rounding=stochastic");
    return Stream.concat(words.stream(), Stream.of(more)).toArray();
  }

  private static JsonNode json(Object... words) throws IOException {
    return new ObjectMapper().readTree(Cli.result(words));
  }

  @Test
  void theBestOfEachContenderIsRepeatedWithMoreSeedsAndNothingIsDoneTwice() throws IOException {
    Path text = Files.writeString(folder.resolve("text"), "to be or not to be\n".repeat(100));
    JsonNode found = json(words(text, "--seeds=2"));
    assertEquals(5, found.get("runs").size());
    JsonNode lion = found.get("best").get(0);
    assertEquals("lion", lion.get("rule").asText());
    assertEquals(6, lion.get("bytes_per_parameter").asDouble());
    assertEquals(8, found.get("best").get(1).get("bytes_per_parameter").asDouble());
    assertEquals(2, lion.get("losses").size());
    double first = found.get("runs").get(0).get("loss").asDouble();
    double second = found.get("runs").get(1).get("loss").asDouble();
    assertEquals(Math.min(first, second), lion.get("losses").get(0).asDouble());
    assertTrue(lion.get("unmoved_share").asDouble() < 0.01, lion::toString);
    assertTrue(ImageIO.read(Path.of(found.get("picture").asText()).toFile()).getHeight() > 900);

    Path cell;
    try (Stream<Path> cells = Files.list(folder.resolve("run"))) {
      cell = cells.filter(Files::isDirectory).sorted().findFirst().orElseThrow();
    }
    assertFalse(Files.exists(cell.resolve("store")));
    Files.delete(cell.resolve("result.json"));
    assertEquals(found, json(words(text, "--seeds=2")), "one run is done again, with equal bits");
  }

  @Test
  void resultsOfOtherSettingsOrTextAreRefused() throws IOException {
    Path text = Files.writeString(folder.resolve("text"), "to be or not to be\n".repeat(100));
    json(words(text, "--seeds=1"));
    Cli.Run other = Cli.run(words(text, "--seeds=1", "--batch=3"));
    assertTrue(Cli.requireRefusal(other).contains("given twice"), other::err);
    Object[] words = words(text, "--seeds=1");
    words[5] = "--steps=4";
    Cli.Run refused = Cli.run(words); // the run that begins is named first
    assertEquals(1, refused.exitCode());
    assertTrue(refused.err().contains("holds the result of other settings"), refused::err);
    Path another = Files.writeString(folder.resolve("another"), "or not to be\n".repeat(200));
    assertTrue(
        Cli.requireRefusal(Cli.run(words(another, "--seeds=1"))).contains("began with other text"));
  }
}
