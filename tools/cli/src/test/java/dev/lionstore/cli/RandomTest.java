package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code import --random}: a store of a model's shape without its weights. */
class RandomTest {
  private static final String CONFIG =
      """
      {
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "vocab_size": 50,
        "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "head_dim": 8,
        "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": true,
        "torch_dtype": "bfloat16"
      }
      """;

  private static final Set<String> NAMES =
      Set.of(
          "model.embed_tokens.weight",
          "model.layers.0.input_layernorm.weight",
          "model.layers.0.mlp.down_proj.weight",
          "model.layers.0.mlp.gate_proj.weight",
          "model.layers.0.mlp.up_proj.weight",
          "model.layers.0.post_attention_layernorm.weight",
          "model.layers.0.self_attn.k_norm.weight",
          "model.layers.0.self_attn.k_proj.weight",
          "model.layers.0.self_attn.o_proj.weight",
          "model.layers.0.self_attn.q_norm.weight",
          "model.layers.0.self_attn.q_proj.weight",
          "model.layers.0.self_attn.v_proj.weight",
          "model.norm.weight");

  @TempDir private Path folder;
  private Path config;
  private Path store;

  @BeforeEach
  void writeConfig() throws IOException {
    config = Files.writeString(folder.resolve("small.json"), CONFIG);
    store = folder.resolve("store");
  }

  @Test
  void theExportIsAHuggingFaceFolderWithTheConfiguration() throws IOException {
    String line = Cli.result("import", "--random", config, store);
    assertTrue(
        line.startsWith(
            "made 3,552 random parameters in 13 tensors into "
                + store
                + " (rule lion, gradient plane bf16, rounding nearest, moments start at zero), "),
        line);
    Path exported = folder.resolve("exported");
    Cli.result("export", store, exported);
    assertEquals(List.of("", "config.json", "model.safetensors"), Example.tree(exported));
    assertEquals(CONFIG, Files.readString(exported.resolve("config.json")));
    assertEquals(NAMES, Safetensors.readAll(exported).keySet());
    Path again = folder.resolve("again");
    Cli.result("import", exported, again);
    Cli.result("import", "--random", exported, folder.resolve("anew"));
    assertEquals(Cli.hash(store), Cli.hash(folder.resolve("anew")), "of the carried configuration");
  }

  @Test
  void theSeedDecidesTheBits() {
    Cli.result("import", config, store, "--random", "--seed", 3);
    Cli.result("import", config, folder.resolve("same"), "--random", "--seed", 3);
    Cli.result("import", config, folder.resolve("other"), "--random", "--seed", 4);
    assertEquals(Cli.hash(store), Cli.hash(folder.resolve("same")));
    assertNotEquals(Cli.hash(store), Cli.hash(folder.resolve("other")));
  }

  @Test
  void otherOptionsOfImportWorkAsWithWeights() {
    Object[] words = {
      "import",
      "--random",
      config,
      store,
      "--group",
      "norms",
      "--match",
      ".*norm.*",
      "--weight-decay",
      0,
      "--freeze",
      ".*embed_tokens.*",
      "--rounding",
      "stochastic",
      "--gradient-plane",
      "f32",
      "--chunk-elements",
      512
    };
    String line = Cli.result(words);
    assertTrue(line.contains("(rule lion, gradient plane f32, rounding stochastic, moments"), line);
    String shown = Cli.result("inspect", store);
    assertTrue(shown.contains("norms: 64 parameters"), shown);
    assertTrue(
        Cli.result("inspect", "--tensors", store).contains("frozen"), "the embedding is frozen");
    String refused =
        Cli.refusal("import", "--random", config, folder.resolve("none"), "--freeze", "norm");
    assertTrue(
        refused.startsWith("--freeze norm matches the whole name of none of the 13"), refused);
  }

  @Test
  void whatIsNoShapeIsRefusedAndNothingIsMade() throws IOException {
    List<String> tree = Example.tree(folder);
    assertEquals(
        "--momentum is of weights that --random replaces; leave out one (see lionstore import"
            + " --help)",
        Cli.usageError("import", "--random", config, store, "--momentum", config));
    String unknown = Cli.refusal("import", "--random", folder.resolve("llama-9"), store);
    assertTrue(
        unknown.startsWith(
            folder.resolve("llama-9")
                + ": no such file or folder, and not one of the well-known models gpt2, llama"),
        unknown);
    assertEquals(
        folder + ": has no config.json, which tells the shapes of a model; name another folder",
        Cli.refusal("import", "--random", folder, store));
    assertEquals(tree, Example.tree(folder));
    Files.writeString(config, CONFIG.replace("qwen3", "bert"));
    String family = Cli.refusal("import", "--random", config, store);
    assertTrue(
        family.startsWith(config + ": model_type is 'bert', expected one of gpt2, llama,"), family);
    String wide = CONFIG.replace("\"vocab_size\": 50", "\"vocab_size\": 2000000000");
    Files.writeString(config, wide.replace("\"hidden_size\": 16", "\"hidden_size\": 2000"));
    String large = Cli.refusal("import", "--random", config, store);
    assertTrue(
        large.matches(store + ": a store of 3[0-9]{13} bytes does not fit, .* free;.*"), large);
    Files.writeString(config, wide.replace("\"hidden_size\": 16", "\"hidden_size\": 2000000"));
    String larger = Cli.refusal("import", "--random", config, store);
    assertTrue(larger.contains("choose a larger chunk"), larger);
    assertEquals(tree, Example.tree(folder));
  }
}
