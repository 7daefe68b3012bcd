package dev.lionstore.checkpoint;

import static dev.lionstore.checkpoint.FolderFixture.bf16;
import static dev.lionstore.checkpoint.FolderFixture.filled;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.FormatException;
import dev.lionstore.checkpoint.ModelExport.Form;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Two names of one parameter. */
class FolderTiesTest {
  private static final String EMBEDDING = "model.embed_tokens.weight";
  private static final String OUTPUT = "lm_head.weight";
  private static final String TIED = "{\"tie_word_embeddings\":true}";

  @TempDir private Path work;
  private FolderFixture folder;

  @BeforeEach
  void newFolder() throws IOException {
    folder = new FolderFixture(work);
  }

  /** As old Qwen repositories have them (vllm#3344). */
  @Test
  void twinsAreOneParameterAndLeaveEqualUnderBothNames() throws IOException {
    ImportResult result =
        folder
            .with(bf16(EMBEDDING, 2L, 2L), bf16(OUTPUT, 2L, 2L))
            .with(FolderFixture.f32("single", List.of(1L), 1))
            .config(TIED)
            .run();
    assertEquals(List.of(EMBEDDING, "single"), folder.parameters());
    assertEquals(1, result.source().tied());
    Models.step(folder.store(), 0, 1);
    Map<String, RawTensor> out = folder.tensors(Form.KEPT);
    byte[] stepped = Objects.requireNonNull(out.get(EMBEDDING)).data();
    assertArrayEquals(stepped, Objects.requireNonNull(out.get(OUTPUT)).data());
    assertFalse(java.util.Arrays.equals(bf16(EMBEDDING, 2L, 2L).data(), stepped));
  }

  @ParameterizedTest
  @CsvSource({
    "transformer.wte.weight,lm_head.weight", // GPT-2
    "gpt_neox.embed_in.weight,embed_out.weight",
    "bert.embeddings.word_embeddings.weight,cls.predictions.decoder.weight",
    "roberta.embeddings.word_embeddings.weight,lm_head.decoder.weight",
    "shared.weight,decoder.embed_tokens.weight", // T5 (safetensors keeps one; others do not)
    "model.decoder.embed_tokens.weight,proj_out.weight", // Whisper
    "cls.predictions.bias,cls.predictions.decoder.bias",
    "backbone.embeddings.weight,lm_head.weight", // Mamba
    "rwkv.embeddings.weight,head.weight",
    "transformer.embeddings.weight,pred_layer.proj.weight", // XLM
    "transformer.word_embedding.weight,lm_loss.weight", // XLNet
    "transformer.tokens_embed.weight,lm_head.weight", // GPT
    "transformer.w.weight,lm_head.weight", // CTRL
    "biogpt.embed_tokens.weight,output_projection.weight",
    "model.embeddings.tok_embeddings.weight,decoder.weight", // ModernBERT
    "model.decoder.embed_tokens.weight,lm_head.out_proj.weight", // T5Gemma
    "shared.weight,text_decoder.embed_tokens.weight", // SeamlessM4T
    "prophetnet.word_embeddings.weight,prophetnet.encoder.word_embeddings.weight",
    "shared_image_embedding.positional_embedding,"
        + "prompt_encoder.shared_embedding.positional_embedding", // SAM
    "class_embed.0.weight,model.decoder.class_embed.0.weight", // RT-DETR
    "bbox_embed.0.layers.1.bias,decoder.bbox_embed.0.layers.1.bias" // Grounding DINO
  })
  void everyFamilyHasItsOwnNames(String kept, String twin) throws IOException {
    folder.with(bf16(kept, 2L, 2L), bf16(twin, 2L, 2L)).config("{}").run();
    assertEquals(List.of(kept), folder.parameters());
  }

  /** An encoder-decoder of two BERTs; the encoder is trained apart. */
  @Test
  void ofEqualEmbeddingsTheOneNearestInNameIsTied() throws IOException {
    String encoder = "a.bert.embeddings.word_embeddings.weight";
    String decoder = "b.bert.embeddings.word_embeddings.weight";
    folder
        .with(bf16(encoder, 2L, 2L), bf16(decoder, 2L, 2L))
        .with(bf16("b.cls.predictions.decoder.weight", 2L, 2L))
        .config("{}")
        .run();
    assertEquals(List.of(encoder, decoder), folder.parameters());
    try (StoreReader reader = StoreReader.open(folder.store());
        CarriedContent carried = CarriedContent.ofStore(reader)) {
      assertEquals(Map.of("b.cls.predictions.decoder.weight", decoder), carried.origin().tied());
    }
  }

  /** ProphetNet: the output's name comes first, and the nearest in name is itself a second. */
  @Test
  void allNamesAreTiedToTheOneThatIsKept() throws IOException {
    String kept = "prophetnet.word_embeddings.weight";
    String second = "prophetnet.decoder.word_embeddings.weight";
    folder.with(bf16(kept, 2L, 2L), bf16(second, 2L, 2L), bf16(OUTPUT, 2L, 2L)).config("{}").run();
    assertEquals(List.of(kept), folder.parameters());
    try (StoreReader reader = StoreReader.open(folder.store());
        CarriedContent carried = CarriedContent.ofStore(reader)) {
      assertEquals(Map.of(OUTPUT, kept, second, kept), carried.origin().tied());
    }
  }

  /** A head that is called so is a classifier's elsewhere. */
  @Test
  void aNameThatIsAnOutputsInSomeFamiliesAloneMayDiffer() throws IOException {
    folder.with(bf16("rwkv.embeddings.weight", 2L, 2L));
    folder.with(filled("head.weight", "BF16", (short) 0x3F81, 2L, 2L)).config(TIED).run();
    assertEquals(List.of("head.weight", "rwkv.embeddings.weight"), folder.parameters());
  }

  /** Falcon, Llama: they began alike and are trained apart. */
  @Test
  void equalTensorsThatTheConfigurationDoesNotTieAreTwoParameters() throws IOException {
    folder
        .with(bf16(EMBEDDING, 2L, 2L), bf16(OUTPUT, 2L, 2L))
        .config("{\"tie_word_embeddings\":false}")
        .run();
    assertEquals(List.of(OUTPUT, EMBEDDING), folder.parameters());
  }

  @Test
  void tiedNamesThatDifferAreRefusedAsVersionsOfTransformersDisagree() throws IOException {
    folder.with(bf16(EMBEDDING, 2L, 2L), filled(OUTPUT, "BF16", (short) 0x3F81, 2L, 2L));
    folder.config(TIED);
    FormatException e = assertThrows(FormatException.class, folder::run); // transformers#42612
    for (String word : List.of(EMBEDDING, OUTPUT, "tie_word_embeddings", "--carry")) {
      assertTrue(String.valueOf(e.getMessage()).contains(word), e + "");
    }
  }

  @Test
  void differentTensorsOfAConfigurationThatSaysNothingAreTwoParameters() throws IOException {
    folder.with(bf16(EMBEDDING, 2L, 2L), filled(OUTPUT, "BF16", (short) 0x3F81, 2L, 2L));
    folder.config("{}").run();
    assertEquals(List.of(OUTPUT, EMBEDDING), folder.parameters());
  }

  @Test
  void theTieOfAPartsConfigurationCounts() throws IOException {
    folder
        .with(bf16("language_model." + EMBEDDING, 2L, 2L), bf16(OUTPUT, 2L, 2L))
        .config("{\"text_config\":{\"tie_word_embeddings\":true}}")
        .run();
    assertEquals(List.of("language_model." + EMBEDDING), folder.parameters());
  }

  @Test
  void aPartHasBothNamesOrNeither() throws IOException {
    folder.with(bf16(EMBEDDING, 2L, 2L), bf16(OUTPUT, 2L, 2L), bf16("w", 2L)).config(TIED).run();
    try (StoreReader reader = StoreReader.open(folder.store());
        CarriedContent carried = CarriedContent.ofStore(reader)) {
      assertEquals(Map.of(), carried.matching("w"::equals).origin().tied());
      assertEquals(
          Map.of(OUTPUT, EMBEDDING), carried.matching(n -> !n.equals("w")).origin().tied());
    }
  }
}
