package dev.lionstore.measure.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.lionstore.measure.Ended;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DeviceBenchmarkTest {
  private static final String POCL = "pthread";
  private static final List<String> STEPS =
      List.of(
          "kernel_nearest",
          "kernel_stochastic",
          "store_resident_none_nearest",
          "store_resident_none_stochastic",
          "store_streaming_none_nearest",
          "store_streaming_none_stochastic",
          "store_streaming_bf16_nearest",
          "store_streaming_bf16_stochastic",
          "store_in_place_none_nearest",
          "store_in_place_none_stochastic",
          "store_in_place_bf16_nearest",
          "store_in_place_bf16_stochastic");

  @TempDir Path folder;

  private Ended run(String... arguments) {
    List<String> all =
        new ArrayList<>(List.of("device", "--size", "1", "--pairs", "3", "--warm-up", "0"));
    all.addAll(List.of("--directory", folder.toString(), "--python", "no-such-python"));
    all.addAll(List.of(arguments));
    return Ended.of(all.toArray(String[]::new));
  }

  @Test
  void measuresEveryWayOfADeviceAndFindsTheBitsEqual() throws IOException {
    Ended ended = run("--device", POCL, "--json");
    assertEquals("", ended.err());
    assertEquals(0, ended.exitCode(), ended.out());
    JsonNode found = new JsonMapper().readTree(ended.out());
    assertTrue(found.at("/device/name").asText().contains(POCL), ended.out());
    assertTrue(found.path("conforms").asBoolean(), ended.out());
    for (String key : List.of("date", "verdict", "host", "parameters", "pairs", "notes")) {
      assertTrue(found.has(key), key);
    }
    assertPositive(
        found.path("bandwidths"),
        List.of("copy", "bus_up", "bus_down", "bus_both"),
        "bytes_per_second");
    for (String field : List.of("median", "p10", "p90", "shortest", "parameters_per_second")) {
      assertPositive(found.path("steps"), STEPS, field);
    }
    assertEquals(
        Map.of(
            "kernel",
            true,
            "store_resident",
            true,
            "store_streaming",
            true,
            "store_in_place",
            true),
        new JsonMapper().convertValue(found.path("bits_equal"), Map.class));
    assertEquals(
        "PyTorch: not measured, there is no no-such-python", found.at("/torch/condition").asText());
    try (Stream<Path> left = Files.list(folder)) {
      assertEquals(List.of(), left.toList());
    }
  }

  private static void assertPositive(JsonNode rows, List<String> keys, String field) {
    List<String> found = new ArrayList<>();
    rows.fieldNames().forEachRemaining(found::add);
    assertEquals(keys, found);
    for (String key : keys) {
      assertTrue(rows.path(key).path(field).asDouble() > 0, key + " " + field + ": " + rows);
    }
  }

  @Test
  void printsATableForTheDocument() {
    Ended ended = run("--device", POCL);
    assertEquals(0, ended.exitCode(), ended.err());
    assertTrue(ended.out().contains("Self-test: equal to the reference in every bit"), ended.out());
    assertTrue(ended.out().contains("| kernel, all in its memory, nearest "), ended.out());
    assertTrue(ended.out().contains(" | equal "), ended.out());
    assertFalse(ended.out().contains("NOT EQUAL"), ended.out());
  }

  @Test
  void anUnknownDeviceIsOneLineThatSaysWhichThereAre() {
    Ended ended = run("--device", "no such device");
    assertEquals(1, ended.exitCode());
    assertEquals(1, ended.err().lines().count(), ended.err());
    assertTrue(ended.err().contains("there are 0: "), ended.err());
    assertEquals("", ended.out());
  }

  @Test
  void wrongOptionsAreRefused() {
    assertEquals(2, run("--size", "0").exitCode());
    assertEquals(2, run("--no-such-option").exitCode());
  }

  @Test
  void oneOtherByteIsNotEqual() {
    byte[] bytes = new byte[1000];
    byte[] other = bytes.clone();
    other[999] = 1;
    MemorySegment zeros = MemorySegment.ofArray(bytes);
    assertTrue(DeviceBits.equal(List.of(zeros, zeros), List.of(zeros, zeros)));
    assertFalse(
        DeviceBits.equal(List.of(zeros, zeros), List.of(zeros, MemorySegment.ofArray(other))));
  }

  @Test
  void whatThePythonScriptPrintsBecomesRows() {
    TorchTimes times =
        TorchTimes.parse(
            """
            a warning
            lionstore\ton\t2.9, a GPU
            lionstore\ttime\tAdamW, fused\t0.5\t1000
            lionstore\tnot\tLion: out of memory
            """);
    assertEquals("PyTorch 2.9, a GPU; Lion: out of memory", times.condition());
    assertEquals(List.of(new TorchTimes.Row("AdamW, fused", 2000)), times.rows());
    assertEquals(
        "PyTorch: not measured, the script ended with: Killed",
        TorchTimes.parse("a warning\nKilled\n").condition());
  }
}
