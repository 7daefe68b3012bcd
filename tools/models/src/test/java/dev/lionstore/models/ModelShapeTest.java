package dev.lionstore.models;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.checkpoint.InitialTensor;
import dev.lionstore.checkpoint.InitialTensor.Normal;
import dev.lionstore.safetensors.SafetensorsType;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ModelShapeTest {
  /** Of what Transformers saved. */
  static byte[] saved(String name) throws IOException {
    try (InputStream in = ModelShapeTest.class.getResourceAsStream("saved/" + name)) {
      return Objects.requireNonNull(in, name).readAllBytes();
    }
  }

  private static ModelShape known(String name) throws IOException {
    return ModelSource.find(Path.of(name)).shape();
  }

  private static ModelShape fixture(String name) throws IOException {
    return ModelShape.of(Path.of(name + ".json"), saved(name + ".json"));
  }

  /**
   * The fixtures are what {@code save_pretrained} of Transformers 5.18 wrote for small models: the
   * configuration, and the names and shapes in the safetensors header.
   */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "gpt2",
        "gpt2-body",
        "llama",
        "llama-biased-tied",
        "llama-body",
        "mistral",
        "mixtral",
        "qwen2",
        "qwen2_moe",
        "qwen3",
        "qwen3-biased",
        "vit",
        "vit-body"
      })
  void namesAndShapesAreThoseThatTransformersSaves(String name) throws IOException {
    String tensors =
        fixture(name).tensors().stream()
            .map(InitialTensor::declared)
            .sorted(Comparator.comparing(declared -> declared.name()))
            .map(t -> t.name() + " " + t.shape().toString().replace(",", "") + "\n")
            .collect(Collectors.joining());
    String expected = new String(saved(name + ".txt"), StandardCharsets.UTF_8);
    assertEquals(expected.lines().sorted().toList(), tensors.lines().sorted().toList());
    assertEquals(expected.lines().count(), Set.copyOf(tensors.lines().toList()).size());
  }

  /**
   * Counts that Hugging Face shows beside the models' safetensors, and that {@code sum(p.numel()
   * for p in model.parameters())} gives for these configurations in Transformers 5.18.
   */
  @ParameterizedTest
  @CsvSource({
    "gpt2, 124439808",
    "llama-2-7b, 6738415616",
    "llama-2-13b, 13015864320",
    "llama-3-8b, 8030261248",
    "llama-3.2-1b, 1235814400",
    "mistral-7b, 7241732096",
    "mixtral-8x7b, 46702792704",
    "qwen1.5-moe-a2.7b, 14315784192",
    "qwen2.5-0.5b, 494032768",
    "qwen2.5-7b, 7615616512",
    "qwen3-8b, 8190735360",
    "tinyllama-1.1b, 1100048384",
    "vit-base-patch16-224, 86567656"
  })
  void wellKnownModelsHaveTheParametersThatTheyAreKnownFor(String name, long parameters)
      throws IOException {
    assertEquals(parameters, known(name).parameterCount());
    assertTrue(ModelSource.wellKnown().contains(name));
  }

  @Test
  void everyWellKnownNameHasAConfiguration() throws IOException {
    assertEquals(13, ModelSource.wellKnown().size(), "as many as are counted above");
    for (String name : ModelSource.wellKnown()) {
      assertTrue(known(name).parameterCount() > 0, name);
    }
    assertEquals(known("gpt2"), known("GPT2"));
  }

  @Test
  void theTypeIsTheCheckpoints() throws IOException {
    assertEquals(SafetensorsType.F16, known("llama-2-7b").tensors().getFirst().declared().type());
    assertEquals(SafetensorsType.BF16, known("mistral-7b").tensors().getFirst().declared().type());
    assertEquals(SafetensorsType.F32, known("gpt2").tensors().getFirst().declared().type());
  }

  @Test
  void matricesDeviateAsTheConfigurationSaysNormsAreOneAndBiasesZero() throws IOException {
    ModelShape gpt2 = known("gpt2");
    assertEquals(new Normal(0, 0.02), begins(gpt2, "wte.weight"));
    assertEquals(new Normal(0, 0.02), begins(gpt2, "h.3.mlp.c_fc.weight"));
    assertEquals(Normal.ZERO, begins(gpt2, "h.3.mlp.c_fc.bias"));
    assertEquals(Normal.ONE, begins(gpt2, "h.3.ln_1.weight"));
    assertEquals(Normal.ZERO, begins(gpt2, "h.3.ln_1.bias"));
    double residual = begins(gpt2, "h.3.mlp.c_proj.weight").deviation();
    assertEquals(0.02 / Math.sqrt(24), residual, 1e-12);
    ModelShape qwen3 = known("qwen3-8b");
    assertEquals(Normal.ONE, begins(qwen3, "model.layers.0.self_attn.q_norm.weight"));
  }

  private static Normal begins(ModelShape shape, String name) {
    List<InitialTensor> named =
        shape.tensors().stream().filter(t -> t.declared().name().equals(name)).toList();
    assertEquals(1, named.size(), name);
    return named.getFirst().distribution();
  }
}
