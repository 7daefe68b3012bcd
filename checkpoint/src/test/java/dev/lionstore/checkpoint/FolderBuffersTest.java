package dev.lionstore.checkpoint;

import static dev.lionstore.checkpoint.FolderFixture.bf16;
import static dev.lionstore.checkpoint.FolderFixture.f32;
import static dev.lionstore.checkpoint.FolderFixture.raw;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.checkpoint.ModelExport.Form;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What is no parameter is not trained. */
class FolderBuffersTest {
  private static final List<Long> ONE = List.of(1L);

  @TempDir private Path work;
  private FolderFixture folder;

  @BeforeEach
  void newFolder() throws IOException {
    folder = new FolderFixture(work);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "model.layers.0.self_attn.rotary_emb.inv_freq", // Llama 2 (transformers#35255)
        "esm.encoder.layer.0.attention.self.rotary_embeddings.inv_freq", // transformers#24576
        "transformer.h.0.attn.masked_bias", // GPT-2 (transformers#24581)
        "rope.freqs", // Meta's Llama (llama2.c#266)
        "model.layers.3.mlp.gate.e_score_correction_bias", // DeepSeek-V3 (vllm#23640)
        "model.layers.1.mlp.moe_statics.e_score_correction_bias", // ERNIE 4.5
        "model.layers.2.feed_forward.expert_bias", // LFM2-MoE, Ling
        "decoder.layers.0.mlp.router.local_tokens_per_expert", // Megatron
        "model.language_model.layers.0.layer_scalar", // Gemma 4
        "encoder.bn.running_mean",
        "encoder.bn.running_var",
        "encoder.bn.num_batches_tracked", // a float after model.half()
        "swinv2.encoder.layers.0.blocks.0.attention.self.relative_coords_table",
        "quantizer.layers.0.codebook.embed_avg", // EnCodec
        "quantizer.semantic_residual_vector_quantizer.layers.0.codebook.cluster_usage", // Mimi
        "model.decoder.embed_positions.weights", // M2M100, XGLM
        "net.pos_embedder.dim_spatial_range", // Anima (InvokeAI#9201)
        "vae.latents_mean", // LTX-Video
        "final_logits_bias", // BART, Marian
        "model.layers.0.mlp.act_fn.beta", // Apertus
        "model.layers.0.mlp.act_fn.eps",
        "model.layers.1.self_attn.slope_rate", // MiniMax
        "model.decoder.layers.0.encoder_attn.n_points_scale", // RT-DETR v2
        "model.multi_modal_projector.visual_temporal_embed.pos_idx_to_embed", // Florence 2
        "criterion.empty_weight", // Mask2Former
        "ibert.encoder.layer.0.attention.self.query.weight_integer", // I-BERT
        "ibert.embeddings.LayerNorm.shift",
        "vocoder.mean", // FastSpeech 2
        "vocoder.scale",
        "prompt_encoder.shared_embedding.positional_encoding_gaussian_matrix" // SAM's old name
      })
  void aBufferIsCarriedBitForBitAndTold(String name) throws IOException {
    RawTensor buffer = f32(name, ONE, 0.0123456f);
    ImportResult result = folder.with(bf16("w.weight", 4L), buffer).run();
    assertEquals(List.of("w.weight"), folder.parameters());
    assertEquals(List.of(name), result.source().buffers());
    RawTensor.assertSame(buffer, Objects.requireNonNull(folder.tensors(Form.KEPT).get(name), name));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "transformer.h.0.attn.bias",
        "transformer.h.0.attn.attention.bias",
        "gpt_neox.layers.0.attention.bias"
      })
  void aCausalMaskThatIsCalledLikeABiasIsCarried(String name) throws IOException {
    folder.with(bf16("w", 4L), f32(name, List.of(1L, 1L, 2L, 2L), 1, 0, 1, 1)).run();
    assertEquals(List.of("w"), folder.parameters());
  }

  /** BERT, ViT, T5: what is called almost so is a parameter. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "encoder.layer.0.attention.bias",
        "logit_scale",
        "block.0.layer.0.SelfAttention.relative_attention_bias.weight",
        "model.encoder.embed_positions.weight",
        "backbone.layers.0.mixer.A_log",
        "cls.predictions.bias",
        "wav2vec2.masked_spec_embed",
        "betas",
        "x.weight_u",
        "mean",
        "model.layers.0.scale",
        "layer.beta",
        "decoder.up",
        "audio_tower.embed_positions.weight",
        "shared_image_embedding.positional_embedding" // SAM's; a buffer in SAM 2
      })
  void aParameterIsTrainedThoughItsNameIsLikeABuffers(String name) throws IOException {
    folder.with(f32(name, ONE, 1), bf16("w", 4L)).run();
    assertTrue(folder.parameters().contains(name));
  }

  @ParameterizedTest
  @CsvSource({
    "whisper, model.encoder.embed_positions.weight",
    "roformer, roformer.encoder.embed_positions.weight",
    "marian, model.decoder.embed_positions.weight",
    "informer, decoder.embed_positions.weight",
    "qwen2_audio, audio_tower.embed_positions.weight",
    "voxtral_encoder, embed_positions.weight",
    "vit_mae, decoder.decoder_pos_embed",
    "patchtst, model.encoder.positional_encoder.position_enc",
    "d_fine, model.decoder.reg_scale",
    "sam2, prompt_encoder.shared_embedding.positional_embedding",
    "speecht5_hifigan, mean"
  })
  void whatAFamilyFixesIsCarriedAlsoInAModelThatHasItAsAPart(String family, String name)
      throws IOException {
    folder
        .with(bf16(name, 2L, 2L), bf16("model.decoder.x.weight", 2L, 2L))
        .config("{\"model_type\":\"a\",\"x_config\":{\"model_type\":\"" + family + "\"}}")
        .run();
    assertEquals(List.of("model.decoder.x.weight"), folder.parameters());
  }

  @Test
  void whispersDecoderLearnsItsPositions() throws IOException {
    folder
        .with(bf16("model.decoder.embed_positions.weight", 2L, 2L))
        .config("{\"model_type\":\"whisper\"}")
        .run();
    assertEquals(List.of("model.decoder.embed_positions.weight"), folder.parameters());
  }

  @ParameterizedTest
  @ValueSource(strings = {"detr", "rt_detr_v2", "table-transformer", "mm-grounding-dino", "d_fine"})
  void allFourTensorsOfDetrsFrozenNormalizationAreBuffers(String family) throws IOException {
    List<RawTensor> tensors = new ArrayList<>(List.of(bf16("model.fc1.weight", 4L)));
    for (String part : List.of("weight", "bias", "running_mean", "running_var")) {
      tensors.add(f32("backbone.bn1." + part, ONE, 1));
    }
    folder
        .with(tensors.toArray(RawTensor[]::new))
        .config("{\"model_type\":\"" + family + "\"}")
        .run();
    assertEquals(List.of("model.fc1.weight"), folder.parameters());
  }

  @Test
  void theScheduleAndAverageInALatentDiffusionFileAreBuffers() throws IOException {
    folder
        .with(
            bf16("model.diffusion_model.out.weight", 4L),
            f32("alphas_cumprod", ONE, 1),
            f32("betas", ONE, 1),
            f32("sqrt_one_minus_alphas_cumprod", ONE, 1),
            f32("posterior_mean_coef1", ONE, 1),
            f32("model_ema.diffusion_modeloutweight", ONE, 1))
        .run();
    assertEquals(List.of("model.diffusion_model.out.weight"), folder.parameters());
  }

  @Test
  void aSpectralNormsVectorsAreBuffersAndItsWeightIsNot() throws IOException {
    folder.with(f32("c.weight_orig", ONE, 1), f32("c.weight_u", ONE, 1)).run();
    assertEquals(List.of("c.weight_orig"), folder.parameters());
  }

  @Test
  void integersAreCarriedAndCounted() throws IOException {
    ImportResult result =
        folder.with(bf16("w", 4L), raw("embeddings.position_ids", "I64", 1L, 3L)).run();
    assertEquals(1, result.source().carried());
    assertEquals(List.of(), result.source().buffers());
  }

  @ParameterizedTest
  @CsvSource({"carry,w", "train,x.inv_freq w", "freeze,x.inv_freq w"})
  void theUsersPatternsComeBeforeNames(String what, String parameters) throws IOException {
    folder.with(bf16("w", 4L), f32("x.inv_freq", ONE, 1), f32("mine", ONE, 1));
    switch (what) {
      case "carry" -> folder.carrying("mine");
      case "train" -> folder.training(".*inv_freq").carrying("mine");
      default -> folder.freezing(".*inv_freq").carrying("mine");
    }
    ImportResult result = folder.run();
    assertEquals(List.of(parameters.split(" ")).stream().sorted().toList(), folder.parameters());
    assertEquals(what.equals("freeze") ? 1 : 0, result.frozen());
  }

  @Test
  void aPatternThatMatchesNothingIsRefused() throws IOException {
    folder.with(bf16("w", 4L)).carrying("nothing");
    Exception e = assertThrows(IllegalArgumentException.class, folder::run);
    assertTrue(String.valueOf(e.getMessage()).startsWith("--carry nothing"), e + "");
  }

  /** Additive masks are full of them, and no step may have them. */
  @Test
  void aValueThatNoMasterHoldsIsRefusedWithTheWayToKeepIt() throws IOException {
    folder.with(bf16("w", 4L), f32("mask", ONE, Float.NEGATIVE_INFINITY));
    Exception e = assertThrows(IOException.class, folder::run);
    assertTrue(String.valueOf(e.getMessage()).contains("--carry"), e + "");
    FolderFixture carrying =
        new FolderFixture(java.nio.file.Files.createDirectory(work.resolve("b")));
    RawTensor mask = f32("mask", ONE, Float.NEGATIVE_INFINITY);
    carrying.with(bf16("w", 4L), mask).carrying("mask").run();
    RawTensor.assertSame(mask, Objects.requireNonNull(carrying.tensors(Form.KEPT).get("mask")));
  }
}
