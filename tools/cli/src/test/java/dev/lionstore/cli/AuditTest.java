package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code audit}: whatever MODEL is, the table is of its tensors. */
class AuditTest {
  private static final String CONFIG =
      """
      {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 1000,
        "hidden_size": 128, "intermediate_size": 352, "num_hidden_layers": 4,
        "num_attention_heads": 4, "torch_dtype": "bfloat16"
      }
      """;

  @TempDir private Path folder;

  private static JsonNode json(Object... arguments) throws IOException {
    return new ObjectMapper().readTree(Cli.result(arguments));
  }

  private static JsonNode system(JsonNode audit, String name) {
    for (JsonNode system : audit.get("systems")) {
      if (system.get("name").asText().equals(name)) {
        return system;
      }
    }
    throw new AssertionError(name + " in " + audit);
  }

  private static String keys(JsonNode node) {
    List<String> names = new ArrayList<>();
    node.fieldNames().forEachRemaining(names::add);
    return names.stream().collect(Collectors.joining(" "));
  }

  /** The table of tools/audit/AUDIT.md: at rest, and the optimizer's state alone. */
  @Test
  void sevenBillionParametersTake42And98AndFp32State28And56() throws IOException {
    String table = Cli.result("audit", "7e9");
    assertEquals("42.00", cell(table, "Lionstore Lion", "at rest"));
    assertEquals("98.00", cell(table, "mixed-precision AdamW", "at rest"));
    assertEquals("28.00", cell(table, "fp32 Lion", "state"));
    assertEquals("56.00", cell(table, "fp32 AdamW", "state"));
    JsonNode json = json("audit", "7B", "--json");
    assertEquals(98_000_000_000L, system(json, "mixed-precision AdamW").get("at_rest").asLong());
    assertEquals(42e9, system(json, "Lionstore Lion").get("at_rest").asDouble(), 42e6);
  }

  private static String cell(String table, String row, String column) {
    String head = table.lines().filter(line -> line.startsWith("GB")).findFirst().orElseThrow();
    String line = table.lines().filter(l -> l.startsWith(row + " ")).findFirst().orElseThrow();
    int end = head.indexOf(column) + column.length();
    return line.substring(end - 10, end).strip();
  }

  @Test
  void aModelMayBeNamedInEveryWay() throws IOException {
    Example example = Example.in(folder);
    Path config = Files.writeString(folder.resolve("small.json"), CONFIG);
    Path snapshots = folder.resolve("snapshots");
    Cli.result("snapshot", example.store(), snapshots);
    Path snapshot = snapshots.resolve("step-000000000001");
    assertEquals(10, json("audit", example.model(), "--json").get("parameters").asInt());
    for (Path state : List.of(example.store(), snapshot)) {
      JsonNode audit = json("audit", state, "--json");
      assertEquals(10, audit.get("parameters").asInt());
      assertEquals(9, audit.get("trained_parameters").asInt(), "one is frozen");
    }
    assertEquals(1_059_968, json("audit", config, "--json").get("parameters").asInt());
    assertEquals(124_439_808, json("audit", "GPT2", "--json").get("parameters").asInt());
    assertEquals(1_500_000, json("audit", "1.5e6", "--json").get("parameters").asInt());
  }

  @Test
  void theGradientPlaneIsTheStoresOwnUnlessAsked() throws IOException {
    Example example = Example.in(folder);
    assertEquals("f32", plane(json("audit", example.store(), "--json")));
    assertEquals("f32", plane(json("audit", example.model(), "--json")));
    assertEquals("bf16", plane(json("audit", "gpt2", "--json")));
    assertEquals("none", plane(json("audit", "gpt2", "--gradient-plane", "none", "--json")));
  }

  private static String plane(JsonNode audit) {
    return audit.at("/stores/0/gradient_plane").asText();
  }

  @Test
  void theSizesAreThoseOfTheStoreThatIsThere() throws IOException {
    Example example = Example.in(folder);
    JsonNode planned = json("audit", example.store(), "--rule", "lion", "--json");
    for (String plane : List.of("weights", "remainder", "momentum", "gradient")) {
      String name = plane + ".plane";
      assertEquals(
          Files.size(example.store().resolve(name)),
          planned.at("/stores/0/file_bytes").get(name).asLong());
    }
  }

  @Test
  void jsonHasStableKeys() throws IOException {
    JsonNode audit = json("audit", "gpt2", "--json");
    assertEquals(
        "model source parameters trained_parameters tensors systems stores measured", keys(audit));
    assertEquals(
        "name weights master momentum second_moment other_state at_rest optimizer_state gradients staging"
            + " host_ram gpu disk",
        keys(audit.at("/systems/0")));
    assertEquals("name gradient_plane file_bytes bytes", keys(audit.at("/stores/0")));
    assertTrue(audit.get("measured").isNull());
    assertEquals(11, audit.get("systems").size());
  }

  @Test
  void rulesAndMomentsAndPlacesAreChosen() throws IOException {
    JsonNode adamw = json("audit", "1e9", "--rule", "adamw", "--moments", "bf16", "--json");
    assertEquals("Lionstore AdamW", adamw.at("/stores/0/name").asText());
    assertEquals(1, adamw.get("stores").size());
    assertEquals(8e9, adamw.at("/systems/0/at_rest").asDouble(), 8e6);
    assertEquals(0, adamw.at("/systems/0/disk").asLong());
    JsonNode disk = json("audit", "1e9", "--place", "disk", "--json");
    assertEquals(8e9, disk.at("/systems/0/disk").asDouble(), 0.1e9);
    assertTrue(disk.at("/systems/0/host_ram").asLong() < 200_000_000);
  }

  @Test
  void theStoreIsMadeSteppedAndMeasured() throws IOException {
    Path config = Files.writeString(folder.resolve("small.json"), CONFIG);
    Path store = folder.resolve("store");
    JsonNode measured = json("audit", config, "--measure", store, "--json").get("measured");
    assertEquals(
        "store backend steps step_seconds files direct resident anonymous_growth", keys(measured));
    assertEquals("name blocks cached resident", keys(measured.at("/files/0")));
    assertEquals("planned measured deviation_percent", keys(measured.get("resident")));
    assertEquals(0, measured.at("/resident/deviation_percent").asDouble(), 5);
    for (JsonNode file : measured.get("files")) {
      assertEquals(0, file.at("/blocks/deviation_percent").asDouble(), 1);
    }
    assertTrue(Cli.result("inspect", store).contains("step         2"), "it stays, stepped");
    String again = Cli.refusal("audit", config, "--measure", store);
    assertTrue(again.startsWith(store + ": "), again);
  }

  @Test
  void weightsAreImportedToBeMeasured() throws IOException {
    Example example = Example.in(folder);
    String table = Cli.result("audit", example.model(), "--measure", folder.resolve("measured"));
    assertTrue(table.contains("measured after 2 steps"), table);
    assertTrue(table.contains("momentum.plane"), table);
  }

  @Test
  void aPictureIsDrawn() throws IOException {
    Path png = folder.resolve("audit.png");
    Cli.result("audit", "gpt2", "--picture", png);
    assertEquals(1400, ImageIO.read(png.toFile()).getWidth());
    Path nowhere = folder.resolve("none/audit.png");
    assertEquals(
        nowhere + ": no such folder to draw into; make it",
        Cli.refusal("audit", "gpt2", "--picture", nowhere));
    List<String> tree = Example.tree(folder);
    String refused = Cli.refusal("audit", "gpt2", "--picture", folder);
    assertTrue(refused.startsWith(folder + ": is a folder"), refused);
    assertEquals(tree, Example.tree(folder));
  }

  @ParameterizedTest
  @CsvSource({
    "0, '0 as a count of parameters, expected a whole number from 1 to 10000000000000;'",
    "1e14, '1e14 as a count of parameters'",
    "1e99, '1e99 as a count of parameters'",
    "1.5, '1.5 as a count of parameters'",
    "llama-9, 'llama-9: no such file or folder, and not one of the well-known models gpt2,'"
  })
  void whatIsNoModelIsRefused(String model, String words) {
    String line = Cli.refusal("audit", model);
    assertTrue(line.startsWith(words), line);
  }

  @Test
  void foldersAndFilesThatAreNoneAreRefusedAndLeftAlone() throws IOException {
    Path empty = Files.createDirectory(folder.resolve("empty"));
    Path text = Files.writeString(folder.resolve("text"), "to be or not to be");
    Path config = Files.writeString(folder.resolve("bert.json"), CONFIG.replace("llama", "bert"));
    Path numbers =
        Safetensors.write(
            folder.resolve("numbers.safetensors"),
            new Safetensors.Tensor("n", "I32", List.of(1L), new byte[4]));
    List<String> tree = Example.tree(folder);
    assertTrue(Cli.refusal("audit", empty).startsWith(empty + ": is neither a store"));
    assertTrue(Cli.refusal("audit", text).startsWith(text + ": "));
    assertTrue(Cli.refusal("audit", config).startsWith(config + ": model_type is 'bert'"));
    assertEquals(
        numbers
            + ": has no tensor of type F32, F16 or BF16, the only ones that are trained; name"
            + " another model, or convert it",
        Cli.refusal("audit", numbers));
    assertEquals(tree, Example.tree(folder));
  }

  @Test
  void measuringNeedsAModel() throws IOException {
    Path store = folder.resolve("store");
    Example example = Example.in(Files.createDirectory(folder.resolve("example")));
    assertEquals(
        "--moments: rule sgd has no state (see lionstore audit --help)",
        Cli.usageError("audit", "gpt2", "--rule", "sgd", "--moments", "f32"));
    assertTrue(
        Cli.refusal("audit", "7e9", "--measure", store)
            .startsWith("7e9: is a count; --measure makes a store of a configuration"));
    assertTrue(
        Cli.refusal("audit", example.store(), "--measure", store).contains(": is a store; "));
    assertFalse(Files.exists(store));
  }
}
