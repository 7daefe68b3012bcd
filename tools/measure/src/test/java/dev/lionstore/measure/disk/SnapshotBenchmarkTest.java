package dev.lionstore.measure.disk;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.lionstore.measure.Ended;
import java.io.IOException;
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

  private Ended run(String... arguments) {
    List<String> all = new ArrayList<>(List.of("snapshot", "--size", "0.03", "--pairs", "1"));
    all.addAll(List.of("--directory", folder.toString(), "--store", folder.toString()));
    all.addAll(List.of(arguments));
    return Ended.of(all.toArray(String[]::new));
  }

  @Test
  void measuresDiskSnapshotsAndTrainingAndLeavesNothing() throws IOException {
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
  void printsATableForTheDocument() {
    Ended ended = run("--iteration-seconds", "0", "--memory", "24M");
    assertEquals(0, ended.exitCode(), ended.err());
    assertTrue(ended.out().contains("Restored: the same hash"), ended.out());
    assertTrue(ended.out().contains("| verify "), ended.out());
    assertTrue(ended.out().contains("| waiting, 0.0 s "), ended.out());
  }

  @Test
  void wrongOptionsAreRefused() {
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
