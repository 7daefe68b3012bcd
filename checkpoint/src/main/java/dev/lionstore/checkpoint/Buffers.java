package dev.lionstore.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import dev.lionstore.safetensors.TensorEntry;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Which floats of a checkpoint are buffers: a module registers and saves them, and no optimizer has
 * ever seen them. A header does not tell them from parameters, so they are known by the names that
 * families give them; {@code --train} and {@code --carry} correct what a name says.
 */
final class Buffers {
  /** Last parts of names that nothing but a buffer has. */
  private static final Set<String> ANYWHERE =
      words(
          // Rotary frequencies and tables: Llama, GPT-NeoX, ESM (persistent), GLM, Meta's own.
          "inv_freq original_inv_freq freqs_cis freqs_cos freqs_sin cos_cached sin_cached",
          // Causal masks: GPT-2, GPT-J, CodeGen, Swin.
          "masked_bias causal_mask attn_mask attention_mask future_mask",
          // Batch normalization; num_batches_tracked is an integer, and a float after .half().
          "running_mean running_var num_batches_tracked",
          // Routers, moved by load and not by gradients: DeepSeek-V3, GLM-4.5, Kimi, ERNIE; LFM2,
          // Ling, Megatron. Rounding them to bf16 changes which experts are chosen (sglang#31213).
          "e_score_correction_bias expert_bias tokens_per_expert local_tokens_per_expert",
          // Gemma 4: a constant of the layer, and the ranges of its clipped linears.
          "layer_scalar input_min input_max output_min output_max",
          // Positions and tables of Swin v2, BEiT, SAM, BERT; Anima's derived ranges.
          "position_ids token_type_ids relative_coords_table relative_position_index",
          "dim_spatial_range dim_temporal_range positional_encoding_gaussian_matrix",
          // A bias of zeros before the logits: BART, Blenderbot, Marian, Pegasus, PLBart.
          "final_logits_bias",
          // Decays of MiniMax's linear attention; scales of deformable attention (RT-DETR v2,
          // D-FINE); sinusoids of Florence 2 and TimesFM; the weights of a loss (Mask2Former) and
          // of
          // a schedule (EoMT).
          "query_decay key_decay diagonal_decay slope_rate n_points_scale num_points_scale",
          "pos_idx_to_embed inv_timescales empty_weight attn_mask_probs",
          // Ranges and integers of I-BERT.
          "act_scaling_factor weight_scaling_factor fc_scaling_factor weight_integer bias_integer",
          "x_min x_max",
          // Constants of autoencoders (diffusers), of audio front ends, and of Gemma 4's images.
          "latents_mean latents_std mel_filters global_mean global_invstd std_bias std_scale");

  /** Last parts of names that are buffers below certain modules, and those modules. */
  private static final Map<String, Set<String>> BELOW =
      Map.ofEntries(
          // EMA of codebooks: EnCodec, Mimi, DAC.
          entry("inited", "codebook"),
          entry("initialized", "codebook"),
          entry("cluster_size", "codebook"),
          entry("cluster_usage", "codebook"),
          entry("embed", "codebook"),
          entry("embed_avg", "codebook"),
          entry("embed_sum", "codebook"),
          entry("freqs", "rope rotary_emb"),
          entry("scale", "rotary_emb vocoder"),
          // Sinusoidal positions under a name of their own: M2M100, Speech2Text, XGLM.
          entry("weights", "embed_positions"),
          entry("fb", "mel_scale"),
          entry("window", "spectrogram"),
          // Constants of Apertus' xIELU; the shift of I-BERT; what a HiFi-GAN normalizes with,
          // inside another model.
          entry("beta", "act_fn"),
          entry("eps", "act_fn"),
          entry("shift", "LayerNorm"),
          entry("mean", "vocoder"),
          // Parametrized weights: the vectors of the power iteration.
          entry("_u", "0"),
          entry("_v", "0"));

  /** The schedule of a latent diffusion model's single file, and its moving average. */
  private static final Pattern DIFFUSION =
      Pattern.compile(
          "betas|alphas_cumprod|alphas_cumprod_prev|(?:sqrt|log)_(?:one_minus_|recip_|recipm1_)?"
              + "alphas_cumprod|posterior_(?:variance|log_variance_clipped|mean_coef[12])"
              + "|log_one_minus_alphas_cumprod|lvlb_weights|scale_factor|model_ema\\..*");

  /** A causal mask of GPT-2, GPT-Neo, GPT-NeoX, GPT-J; a bias that is a parameter has rank 1. */
  private static final Pattern ATTENTION_BIAS =
      Pattern.compile("(?:.*\\.)?(?:attn|attention|self_attention)\\.bias");

  private static final Pattern NORM = Pattern.compile("(.*\\.)?(?:weight|bias)");

  /** Families whose normalizations may be frozen: weight and bias are buffers, too. */
  private static final Pattern WITH_FROZEN_NORMS =
      Pattern.compile(
          ".*detr.*|table-transformer|d_fine|deimv2|(?:mm-)?grounding-dino|pp_doclayout.*");

  /**
   * What families fix: buffers whose names are elsewhere a parameter's, and sinusoids and constants
   * that are saved as a parameter which takes no gradient.
   */
  private static final Map<Pattern, Pattern> FIXED =
      Map.of(
          Pattern.compile("whisper|roformer"),
          named("encoder\\.embed_positions\\.weight"),
          Pattern.compile("marian|pegasus|autoformer|informer|time_series_transformer"),
          named("(?:encoder|decoder)\\.embed_positions\\.weight"),
          Pattern.compile("(?:qwen2_audio|audioflamingo3|musicflamingo|voxtral)"),
          named("audio_tower\\.embed_positions\\.weight"),
          Pattern.compile("(?:qwen2_audio|audioflamingo3|voxtral)_encoder"),
          Pattern.compile("embed_positions\\.weight"),
          Pattern.compile("vit_mae"),
          named("position_embeddings|decoder_pos_embed"),
          Pattern.compile("patchtst|patchtsmixer"),
          named("position_enc"),
          Pattern.compile("hrm_text"),
          named("z_L_init"),
          Pattern.compile("d_fine|deimv2"),
          named("reg_scale|up"),
          Pattern.compile("(?:sam2|sam3|edgetam).*"),
          named("shared_(?:image_)?embedding\\.positional_embedding"),
          Pattern.compile("speecht5_hifigan|fastspeech2_conformer_hifigan"),
          Pattern.compile("mean|scale"));

  private Buffers() {}

  private static Pattern named(String last) {
    return Pattern.compile("(?:.*\\.)?(?:" + last + ")");
  }

  private static Set<String> words(String... lines) {
    return Set.of(String.join(" ", lines).split(" ", -1));
  }

  private static Map.Entry<String, Set<String>> entry(String last, String modules) {
    return Map.entry(last, words(modules));
  }

  /** By sets: a mixture of experts has a hundred thousand names. */
  private static boolean isCalledSo(String name) {
    int last = name.lastIndexOf('.');
    String end = name.substring(last + 1);
    if (ANYWHERE.contains(end)) {
      return true;
    }
    Set<String> modules = BELOW.get(end);
    if (modules == null || last < 0) {
      return false;
    }
    String module = name.substring(name.lastIndexOf('.', last - 1) + 1, last);
    return modules.contains(module) && (!module.equals("0") || name.contains("parametrizations."));
  }

  /** Tests the tensors of a model. */
  static Predicate<TensorEntry> of(List<TensorEntry> tensors, JsonNode config) {
    Set<String> names = tensors.stream().map(TensorEntry::name).collect(Collectors.toSet());
    // Also of the models that one is made of.
    Set<String> families = Set.copyOf(config.findValuesAsText("model_type"));
    boolean isDiffusion = names.contains("alphas_cumprod");
    boolean hasFrozenNorms = isAny(families, WITH_FROZEN_NORMS);
    Predicate<String> isFixed =
        FIXED.entrySet().stream()
            .filter(fixed -> isAny(families, fixed.getKey()))
            .map(fixed -> fixed.getValue().asMatchPredicate())
            .reduce(_ -> false, Predicate::or);
    return tensor -> {
      String name = tensor.name();
      return isCalledSo(name)
          || (isDiffusion && DIFFUSION.matcher(name).matches())
          || isCausalMask(tensor)
          || isSpectral(name, names)
          || (hasFrozenNorms && isFrozenNorm(name, names))
          || isFixed.test(name);
    };
  }

  private static boolean isAny(Set<String> families, Pattern pattern) {
    return families.stream().anyMatch(pattern.asMatchPredicate());
  }

  private static boolean isCausalMask(TensorEntry tensor) {
    List<Long> shape = tensor.shape();
    return shape.size() == 4
        && ATTENTION_BIAS.matcher(tensor.name()).matches()
        && shape.get(0) == 1
        && shape.get(1) == 1
        && shape.get(2).equals(shape.get(3));
  }

  private static boolean isSpectral(String name, Set<String> names) {
    return (name.endsWith("weight_u") || name.endsWith("weight_v"))
        && names.contains(name.substring(0, name.length() - 1) + "orig");
  }

  /** DETR's backbones: all four tensors of a frozen batch normalization are buffers. */
  private static boolean isFrozenNorm(String name, Set<String> names) {
    if (!NORM.matcher(name).matches()) {
      return false;
    }
    String module = name.substring(0, name.lastIndexOf('.') + 1);
    return names.contains(module + "running_mean")
        && !names.contains(module + "num_batches_tracked");
  }
}
