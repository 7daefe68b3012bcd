package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
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
            "lion lr=3e-3,1e-3 wd=0.1",
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
    double other = lion.get("losses").get(1).asDouble();
    assertNotEquals(Math.min(first, second), other, "another seed");
    assertEquals(Math.abs(Math.min(first, second) - other), lion.get("spread").asDouble());
    assertTrue(lion.get("unmoved_share").asDouble() < 0.01, lion::toString);
    assertNotEquals(lion.get("unmoved_share"), lion.get("swallowed_share"));
    Path stochastic = folder.resolve("run").resolve("1-lr0.01-wd0.1-seed1").resolve("result.json");
    assertTrue(Files.readString(stochastic).contains("\"rounding\":\"STOCHASTIC\""));
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
  void whatAKillAfterItsResultLeftOfARunIsRemoved() throws IOException {
    Path text = Files.writeString(folder.resolve("text"), "to be or not to be\n".repeat(100));
    JsonNode found = json(words(text, "--seeds=1"));
    Path run = folder.resolve("run").resolve("0-lr0.001-wd0.1-seed1");
    List<String> kept = names(run);
    Files.writeString(Files.createDirectory(run.resolve("store")).resolve("header"), "of a store");
    Files.createDirectories(run.resolve("snapshots").resolve("step-000000000003"));
    Files.writeString(run.resolve("store.snapshot"), "of the store");
    assertEquals(found, json(words(text, "--seeds=1")));
    assertEquals(kept, names(run));
    assertTrue(kept.contains("result.json"), kept::toString);
  }

  private static List<String> names(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
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
    Files.delete(folder.resolve("run").resolve("text.bin"));
    Cli.Run kept = Cli.run(words(another, "--seeds=1"));
    assertEquals(1, kept.exitCode());
    assertTrue(kept.err().contains("holds the result of other settings or other text"), kept::err);
  }
}
