package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Programs rely on these keys: they may be added to, but none may be renamed or go. */
class JsonTest {
  @TempDir private Path folder;

  private static JsonNode json(Object... arguments) throws IOException {
    return new ObjectMapper().readTree(Cli.result(arguments));
  }

  private static String keys(JsonNode node) {
    List<String> keys = new ArrayList<>();
    node.fieldNames().forEachRemaining(keys::add);
    return String.join(" ", keys);
  }

  @Test
  void importSaysWhatWasMade() throws IOException {
    Example example = Example.in(folder);
    JsonNode json = json("import", example.model(), folder.resolve("new"), "--json");
    assertEquals(
        "store rule group_rules parameters tensors gradient_plane rounding momentum_tensors momentum_zero_tensors"
            + " momentum_rounded_values disk_bytes trained_parameters trained_tensors"
            + " frozen_tensors tied_tensors carried_tensors left_out_tensors",
        keys(json));
    assertEquals(10, json.get("parameters").asInt());
    assertEquals("f32", json.get("gradient_plane").asText());
  }

  @Test
  void stepSaysWhatWasDone() throws IOException {
    Example example = Example.in(folder);
    JsonNode json =
        json("step", example.store(), "--gradients", example.gradients(), "--lr", "0", "--json");
    assertEquals("step gradient_norm clip_coefficient swallowed_share backend seconds", keys(json));
    assertEquals(2, json.get("step").asInt());
    assertEquals(1.0, json.get("clip_coefficient").asDouble());
  }

  @Test
  void hashIsTheSameAsWithoutJson() throws IOException {
    Example example = Example.in(folder);
    JsonNode json = json("hash", example.store(), "--json");
    assertEquals("hash", keys(json));
    assertEquals(Cli.hash(example.store()), json.get("hash").asText());
  }

  @Test
  void inspectShowsStoreSnapshotAndModel() throws IOException {
    Example example = Example.in(folder);
    String state =
        "kind state found rule step rounding seed gradient_plane parameters file_bytes plane_bytes"
            + " position_bytes buffers groups tensors disk_bytes file_sizes arithmetic carried tied";
    JsonNode store = json("inspect", example.store(), "--json");
    assertEquals(state, keys(store));
    assertEquals("store", store.get("kind").asText());
    assertEquals("clean", store.get("state").asText());
    assertEquals("weights remainder momentum", keys(store.get("plane_bytes")));
    assertEquals(
        "gradient.plane header layout lionstore-origin.json lock momentum.plane progress remainder.plane weights.plane",
        keys(store.get("file_sizes")));
    long total = 0;
    for (String file : keys(store.get("file_sizes")).split(" ", -1)) {
      long size = Files.size(example.store().resolve(file));
      assertEquals(size, store.get("file_sizes").get(file).asLong(), file);
      total += size;
    }
    assertEquals(total, store.get("disk_bytes").asLong());
    assertEquals(
        "name learning_rate_scale weight_decay parameters rule", keys(store.at("/groups/0")));
    assertEquals("name type shape parameters group", keys(store.at("/tensors/0")));

    String snapshot = Cli.result("snapshot", example.store(), folder.resolve("snapshots"));
    assertEquals(state, keys(json("inspect", snapshot, "--json")));

    JsonNode model = json("inspect", example.model(), "--json");
    assertEquals(
        "kind parameters data_bytes files tensors trained_tensors carried_tensors tied_tensors"
            + " left_out_tensors refusal",
        keys(model));
    assertEquals("name type shape parameters group", keys(model.at("/tensors/0")));
  }

  @Test
  void snapshotsListsThemAndWhatIsUnfinished() throws IOException {
    Snapshots made = Snapshots.in(folder, 2);
    Cli.result("verify", made.at(2));
    Files.createDirectory(made.directory().resolve(".step-000000000003.partial-5-6"));
    JsonNode json = json("snapshots", made.directory(), "--json");
    assertEquals("folder snapshots unfinished", keys(json));
    assertEquals(2, json.get("snapshots").size());
    JsonNode first = json.at("/snapshots/0");
    JsonNode second = json.at("/snapshots/1");
    assertEquals("step path taken bytes state verified problems", keys(first));
    assertEquals(1, first.get("step").asInt());
    assertEquals(made.at(1).toString(), first.get("path").asText());
    assertEquals(DiskUsage.of(made.at(1)).total(), first.get("bytes").asLong());
    assertEquals("not_verified", first.get("state").asText());
    assertTrue(first.get("verified").isNull());
    assertEquals("verified", second.get("state").asText());
    Instant taken = Instant.parse(second.get("taken").asText());
    assertTrue(taken.isBefore(Instant.parse(second.get("verified").asText())));
    JsonNode leftover = json.at("/unfinished/0");
    assertEquals("step path bytes state process", keys(leftover));
    assertEquals("leftover", leftover.get("state").asText());
    assertEquals(5, leftover.get("process").asInt());
    Files.delete(made.at(1).resolve("model.safetensors"));
    first = json("snapshots", made.directory(), "--json").at("/snapshots/0");
    assertEquals("damaged", first.get("state").asText());
    assertEquals(
        made.at(1).resolve("model.safetensors") + ": missing from the snapshot",
        first.at("/problems/0").asText());
  }

  @Test
  void trainSaysHowItEnded() throws IOException {
    Path text = Files.writeString(folder.resolve("text"), "to be or not to be\n".repeat(200));
    Path run = folder.resolve("run");
    JsonNode json =
        json(
            "train",
            text,
            "--run",
            run,
            "--steps",
            2,
            "--warm-up",
            0,
            "--layers",
            1,
            "--width",
            32,
            "--heads",
            2,
            "--feed-forward",
            64,
            "--context",
            32,
            "--batch",
            2,
            "--sample",
            4,
            "--json");
    assertEquals(
        "steps parameters held_out_bits_per_byte_at_first held_out_bits_per_byte tokens_per_second"
            + " step_milliseconds state_bytes swallowed_share store snapshots losses chart hash sample",
        keys(json));
    assertEquals(2, json.get("steps").asInt());
    assertEquals(Cli.hash(run.resolve("store")), json.get("hash").asText());
  }
}
