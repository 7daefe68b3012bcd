package dev.lionstore.checkpoint;

import static dev.lionstore.checkpoint.FolderFixture.bf16;
import static dev.lionstore.checkpoint.FolderFixture.raw;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.checkpoint.ModelExport.Form;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Folders that people met elsewhere, each with its thread. */
class FolderThreadsTest {
  @TempDir private Path work;
  private FolderFixture folder;

  @BeforeEach
  void makeFolder() throws IOException {
    folder = new FolderFixture(work);
  }

  private void assertRefused(String... words) {
    IOException refusal = assertThrows(IOException.class, folder::run);
    for (String word : words) {
      assertTrue(String.valueOf(refusal.getMessage()).contains(word), refusal::toString);
    }
    assertTrue(Files.notExists(folder.store()));
  }

  private static RawTensor get(Map<String, RawTensor> tensors, String name) {
    return Objects.requireNonNull(tensors.get(name), name);
  }

  /** stable-diffusion.cpp#153, mlx-rs#309; ComfyUI-SAM3#93. */
  @ParameterizedTest
  @ValueSource(strings = {"F64", "C64"})
  void floatsOfTypesThatNoStoreTrainsAreNamed(String type) throws IOException {
    ImportResult result =
        folder
            .with(bf16("w", 4L), raw("norm.weight", type, 2L), raw("a.freqs_cis", type, 2L))
            .run();
    assertEquals(List.of("norm.weight"), result.source().wide());
    assertEquals(2, result.source().carried());
    assertEquals(type, get(folder.tensors(Form.KEPT), "norm.weight").dtype());
  }

  /** vllm#4989: Mistral 7B v0.3 as it is on the hub. */
  @Test
  void mistralsOwnCopyBesideTheShardsIsLeftOutAndCounted() throws IOException {
    folder.stray("model-00001-of-00002.safetensors", bf16("model.norm.weight", 4L));
    folder.stray("model-00002-of-00002.safetensors", bf16("lm_head.weight", 8L, 4L));
    folder.file(
        "model.safetensors.index.json",
        "{\"metadata\":{\"total_size\":72},\"weight_map\":{"
            + "\"model.norm.weight\":\"model-00001-of-00002.safetensors\","
            + "\"lm_head.weight\":\"model-00002-of-00002.safetensors\"}}");
    folder.stray(
        "consolidated.safetensors", bf16("norm.weight", 4L), bf16("output.weight", 8L, 4L));
    folder.file("params.json", "{}").file("tokenizer.model.v3", "").file("tekken.json", "{}");
    ImportResult result = folder.run();
    assertEquals(List.of("lm_head.weight", "model.norm.weight"), folder.parameters());
    assertEquals(2, result.source().leftOut());
    assertEquals(List.of("consolidated.safetensors"), result.source().otherWeights());
    Set<String> out = folder.exported(Form.KEPT).keySet();
    assertTrue(out.containsAll(Set.of("params.json", "tekken.json", "tokenizer.model.v3")));
    assertTrue(out.stream().noneMatch(name -> name.startsWith("consolidated")), out::toString);
  }

  /** huggingface_hub#3645: Mistral Large 3 has no other index. */
  @Test
  void mistralsOwnShardsAreTheModelWhereTheyAreAlone() throws IOException {
    folder.stray("consolidated-00001-of-00002.safetensors", bf16("norm.weight", 4L));
    folder.stray("consolidated-00002-of-00002.safetensors", bf16("output.weight", 8L, 4L));
    folder.file(
        "consolidated.safetensors.index.json",
        "{\"metadata\":{},\"weight_map\":{"
            + "\"norm.weight\":\"consolidated-00001-of-00002.safetensors\","
            + "\"output.weight\":\"consolidated-00002-of-00002.safetensors\"}}");
    folder.run();
    assertEquals(List.of("norm.weight", "output.weight"), folder.parameters());
  }

  /** mlxcel#620: an index that is older than its shards. */
  @Test
  void anIndexThatIsStaleIsRefused() throws IOException {
    folder.stray("model-00001-of-00001.safetensors", bf16("mlp.gate_proj.weight", 4L));
    folder.file(
        "model.safetensors.index.json",
        "{\"weight_map\":{\"mlp.gate_up_proj.weight\":\"model-00001-of-00001.safetensors\"}}");
    assertRefused("mlp.gate_proj.weight", "is missing");
  }

  /** safetensors#226, llama.cpp#25596; vllm#1696, safetensors#208. */
  @Test
  void tensorsWithoutElementsAndScalarsAreParameters() throws IOException {
    folder.with(bf16("empty", 2L, 0L), bf16("scalar"), bf16("w", 4L)).run();
    assertEquals(List.of("empty", "scalar", "w"), folder.parameters());
    Map<String, RawTensor> out = folder.tensors(Form.KEPT);
    assertEquals(List.of(), get(out, "scalar").shape());
    assertEquals(List.of(2L, 0L), get(out, "empty").shape());
  }

  /** gemma#8 and lerobot#1529, tied; Qwen3-VL-Embedding#89, which has no output at all. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aModelWithoutItsOutputIsTakenAsItIs(boolean isTied) throws IOException {
    folder.config("{\"tie_word_embeddings\":" + isTied + "}");
    folder.with(bf16("model.embed_tokens.weight", 8L, 4L)).run();
    assertEquals(Set.of("model.embed_tokens.weight"), folder.tensors(Form.KEPT).keySet());
  }

  /** vllm#6758, llm-compressor#2798, torchax#68: tuned and saved under both names. */
  @Test
  void anOutputThatWasSavedOnceMoreIsOneParameter() throws IOException {
    folder.config("{\"tie_word_embeddings\":true}");
    folder.with(bf16("model.embed_tokens.weight", 8L, 4L), bf16("lm_head.weight", 8L, 4L)).run();
    assertEquals(List.of("model.embed_tokens.weight"), folder.parameters());
    assertEquals(2, folder.tensors(Form.KEPT).size());
  }

  /** torchtitan#3764: a tied name that the index still had. */
  @Test
  void aTensorWithoutATypeIsRefused() throws IOException {
    folder.with(new RawTensor("lm_head.weight", "", List.of(), new byte[0]));
    assertRefused("lm_head.weight", "dtype");
  }

  /** sglang#29659, vllm#36997, vllm#44943; miles#1317; megatron-bridge#4706. */
  @ParameterizedTest
  @CsvSource({
    "mlp.experts.gate_up_proj,mlp.experts.down_proj",
    "mlp.experts.w13_weight,mlp.experts.w2_weight",
    "mlp.experts.0.gate_proj.weight,mlp.experts.1.gate_proj.weight"
  })
  void expertsStayAsTheFilesHaveThem(String first, String second) throws IOException {
    folder.with(bf16(first, 2L, 4L, 4L), bf16(second, 2L, 4L, 2L)).run();
    Map<String, RawTensor> out = folder.tensors(Form.KEPT);
    assertEquals(Set.of(first, second), out.keySet());
    assertEquals(List.of(2L, 4L, 4L), get(out, first).shape());
  }

  /** fastsafetensors#79 and #69; ComfyUI-GGUF#21, which has no scales. */
  @ParameterizedTest
  @ValueSource(strings = {"F4", "F8_E8M0", "F8_E4M3", "F8_E5M2"})
  void narrowFloatsAreRefusedByTheirTypes(String type) throws IOException {
    folder.with(bf16("norm.weight", 4L), raw("blocks.0.weight", type, 2L, 2L));
    assertRefused("is quantized (" + type, "\"blocks.0.weight\"".replace('"', '\''));
  }

  /** transformers#28688: the configuration is the base model's. */
  @Test
  void anAdapterNeedsNoConfiguration() throws IOException {
    folder.file("adapter_config.json", "{\"peft_type\":\"LORA\"}").file("README.md", "");
    folder.named("adapter_model.safetensors");
    folder.with(bf16("base_model.model.q.lora_A.weight", 1L, 4L)).run();
    assertEquals(
        Set.of("adapter_config.json", "adapter_model.safetensors", "README.md"),
        folder.exported(Form.KEPT).keySet());
  }
}
