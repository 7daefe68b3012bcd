package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BenchTest {
  @TempDir private Path folder;

  private Path place() throws IOException {
    return Files.createDirectories(folder.resolve("place"));
  }

  private static List<String> keys(JsonNode node) {
    List<String> keys = new ArrayList<>();
    node.fieldNames().forEachRemaining(keys::add);
    return keys;
  }

  private void assertNothingLeft() throws IOException {
    try (Stream<Path> left = Files.list(place())) {
      assertEquals(List.of(), left.toList());
    }
  }

  /** Programs rely on these keys. */
  @Test
  void everyFigureIsInTheJsonAndThePicture() throws IOException {
    Path png = folder.resolve("roof.png");
    JsonNode json =
        new ObjectMapper()
            .readTree(
                Cli.result(
                    "bench",
                    "--size",
                    1,
                    "--pairs",
                    1,
                    "--backend",
                    "vector",
                    "--backend",
                    "scalar",
                    "--directory",
                    place(),
                    "--picture",
                    png,
                    "--json"));
    assertEquals(
        List.of(
            "machine",
            "parameters",
            "threads",
            "roof",
            "operations_per_second",
            "steps",
            "left_out"),
        keys(json));
    assertEquals(
        List.of("cpu", "cores", "jdk", "directory", "file_system"), keys(json.get("machine")));
    assertEquals(List.of("loop", "bytes_per_second"), keys(json.get("roof")));
    assertEquals(1_000_000, json.get("parameters").asLong());
    List<String> rows = new ArrayList<>();
    for (JsonNode step : json.get("steps")) {
      rows.add(
          String.join(
              " ",
              step.get("backend").asText(),
              step.get("what").asText(),
              step.get("rounding").asText()));
      double bytes = step.get("bytes_per_second").asDouble();
      assertEquals(bytes, 14 * step.get("parameters_per_second").asDouble(), bytes * 1e-9);
      assertEquals(1, step.get("pairs").asInt());
      double share = bytes / step.get("roof_bytes_per_second").asDouble();
      for (String key : List.of("share_low", "share", "share_high")) {
        assertEquals(share, step.get(key).asDouble(), share * 1e-9, "of one pair: " + key);
      }
    }
    assertEquals(
        List.of(
            "vector kernel nearest",
            "vector kernel stochastic",
            "vector store nearest",
            "vector store stochastic",
            "scalar kernel nearest",
            "scalar kernel stochastic",
            "scalar store nearest",
            "scalar store stochastic"),
        rows);
    assertTrue(pixels(ImageIO.read(png.toFile()), 0x333333) > 1000, "the roof's lines");
    assertTrue(pixels(ImageIO.read(png.toFile()), 0xD62728) > 50, "the first backend's points");
    assertTrue(pixels(ImageIO.read(png.toFile()), 0x1F77B4) > 50, "the second backend's points");
    assertNothingLeft();
  }

  private static long pixels(BufferedImage picture, int color) {
    long count = 0;
    for (int y = 0; y < picture.getHeight(); y++) {
      for (int x = 0; x < picture.getWidth(); x++) {
        count += (picture.getRGB(x, y) & 0xFFFFFF) == color ? 1 : 0;
      }
    }
    return count;
  }

  @Test
  void theTableHasARowForEachFigureAndWhatAKillLeftIsRemoved() throws IOException {
    Path left = Files.createDirectory(place().resolve(".lionstore-bench.partial-5-6"));
    Files.writeString(left.resolve("planes"), "of a killed bench");
    String table =
        Cli.result(
            "bench", "--size", 1, "--pairs", 1, "--backend", "scalar", "--directory", place());
    List<String> rows =
        table.lines().filter(line -> line.matches("scalar +(kernel|store) .*")).toList();
    assertEquals(4, rows.size(), table);
    assertTrue(table.contains("1,000,000 parameters in " + place()), table);
    assertTrue(table.contains("\nroof: "), table);
    assertNothingLeft();
  }

  @Test
  void whatDoesNotFitIsRefusedBeforeItIsMade() throws IOException {
    String line = Cli.refusal("bench", "--size", 1_000_000, "--directory", place());
    assertTrue(line.startsWith(place() + ": free space: "), line);
    assertTrue(
        line.endsWith(
            "a bench of 1,000,000,000,000 parameters needs 16000.27 GB; choose a smaller --size or"
                + " another --directory"),
        line);
    assertNothingLeft();
  }

  @Test
  void numbersAndBackendsAreChecked() {
    assertEquals(
        "backend is cuda, expected scalar, vector, opencl or opencl:DEVICE (see lionstore bench"
            + " --help)",
        Cli.usageError("bench", "--backend", "cuda"));
    assertEquals(
        "--size is 0, expected at least 1 (see lionstore bench --help)",
        Cli.usageError("bench", "--size", 0));
    assertEquals(
        "pairs is 0, expected a whole number from 1 to 1000000 (see lionstore bench --help)",
        Cli.usageError("bench", "--pairs", 0));
    assertEquals(
        "threads is 129, expected a whole number from 1 to 128 (see lionstore bench --help)",
        Cli.usageError("bench", "--threads", 129));
    String line = Cli.refusal("bench", "--backend", "opencl:no such device");
    assertTrue(line.contains("no such device") || line.contains("OpenCL"), line);
  }

  @Test
  void aPictureThatCannotBeWrittenIsRefusedBeforeAnythingIsMeasured() throws IOException {
    Path absent = folder.resolve("absent").resolve("roof.png");
    String line = Cli.refusal("bench", "--directory", place(), "--picture", absent);
    assertTrue(line.startsWith(folder.resolve("absent").toString()), line);
    assertEquals(
        place() + ": is a folder; name the picture's file, for instance FOLDER/picture.png",
        Cli.refusal("bench", "--directory", place(), "--picture", place()));
    assertFalse(Files.exists(absent));
    assertNothingLeft();
  }
}
