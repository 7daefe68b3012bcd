package dev.lionstore.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SnapshotBenchmarkTest {
  private static final long STATE_BYTES = 30_000_000;

  @TempDir private Path folder = Path.of("");

  private record Ended(int exitCode, String out, String err) {}

  private Ended run(String... arguments) throws InterruptedException {
    List<String> all = new ArrayList<>(List.of("--size", "0.03", "--pairs", "1"));
    all.addAll(List.of("--directory", folder.toString(), "--store", folder.toString()));
    all.addAll(List.of(arguments));
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    int exitCode =
        SnapshotBenchmark.run(
            new PrintStream(out, true, StandardCharsets.UTF_8),
            new PrintStream(err, true, StandardCharsets.UTF_8),
            all.toArray(String[]::new));
    return new Ended(
        exitCode, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
  }

  @Test
  void measuresDiskSnapshotsAndTrainingAndLeavesNothing() throws IOException, InterruptedException {
    Ended ended = run("--json", "--iteration-seconds", "0.1,0", "--memory", "24M,state");
    assertEquals("", ended.err());
    assertEquals(0, ended.exitCode(), ended.out());
    JsonNode found = new JsonMapper().readTree(ended.out());
    assertEquals(STATE_BYTES, found.path("state_bytes").asLong());
    assertTrue(found.path("hash_equal").asBoolean());
    assertPositive(found.at("/write/disk"), 3, "nanos");
    assertPositive(found.at("/write/results"), 1, "median");
    assertPositive(found.at("/read/disk"), 3, "nanos");
    assertPositive(found.at("/read/results"), 4, "median");
    JsonNode training = found.path("training");
    assertPositive(training, 6, "step_during_nanos");
    for (JsonNode row : training) {
      double snapshots = row.path("disk_used_bytes").asDouble() / STATE_BYTES;
      assertTrue(snapshots >= 1 && snapshots < 1.01, "on disk: the snapshot alone: " + row);
    }
    try (Stream<Path> left = Files.list(folder)) {
      assertEquals(List.of(), left.toList());
    }
  }

  private static void assertPositive(JsonNode rows, int count, String field) {
    assertEquals(count, rows.size());
    for (JsonNode row : rows) {
      assertTrue(row.path(field).asDouble() > 0, field + ": " + row);
    }
  }

  @Test
  void printsATableForTheDocument() throws InterruptedException {
    Ended ended = run("--iteration-seconds", "0", "--memory", "24M");
    assertEquals(0, ended.exitCode(), ended.err());
    assertTrue(ended.out().contains("Restored: the same hash"), ended.out());
    assertTrue(ended.out().contains("| verify "), ended.out());
    assertTrue(ended.out().contains("| waiting, 0.0 s "), ended.out());
  }

  @Test
  void wrongOptionsAreRefused() throws InterruptedException {
    for (String[] wrong :
        new String[][] {
          {"--size", "0"},
          {"--pairs", "0"},
          {"--memory", "64X"},
          {"--iteration-seconds", "-1"},
          {"x"}
        }) {
      Ended ended = run(wrong);
      assertEquals(2, ended.exitCode(), ended.err());
      assertEquals(1, ended.err().lines().count(), ended.err());
    }
  }
}
