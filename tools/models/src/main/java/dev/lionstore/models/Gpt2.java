package dev.lionstore.models;

import dev.lionstore.FormatException;
import dev.lionstore.checkpoint.InitialTensor;
import java.util.List;

/** The tensors of GPT-2, as Transformers' {@code modeling_gpt2.py} names them. */
final class Gpt2 {
  private final TensorList tensors;
  private final long features;
  private final long inner;

  /** What {@code GPT2PreTrainedModel._init_weights} gives to matrices that end a residual path. */
  private final double residualScale;

  private Gpt2(ModelConfig config, long layers) throws FormatException {
    this.tensors = new TensorList(config);
    this.features = config.count("n_embd");
    this.inner = config.count("n_inner", 4 * features);
    this.residualScale = 1 / Math.sqrt(2.0 * layers);
  }

  static List<InitialTensor> tensors(ModelConfig config) throws FormatException {
    if (config.flag("add_cross_attention", false)) {
      throw config.wrong("add_cross_attention", "true", "false: its tensors are not known");
    }
    long layers = config.count("n_layer");
    Gpt2 model = new Gpt2(config, layers);
    return model.all(config, Head.of(config, "GPT2LMHeadModel", "GPT2Model"), layers);
  }

  private List<InitialTensor> all(ModelConfig config, Head head, long layers)
      throws FormatException {
    String body = head.prefix("transformer.");
    long vocabulary = config.count("vocab_size");
    tensors.weight(body + "wte.weight", vocabulary, features);
    tensors.weight(body + "wpe.weight", config.count("n_positions"), features);
    for (long layer = 0; layer < layers; layer++) {
      addLayer(body + "h." + layer + ".");
    }
    tensors.layerNorm(body + "ln_f", features);
    if (head == Head.OWN && !config.flag("tie_word_embeddings", true)) {
      tensors.weight("lm_head.weight", vocabulary, features);
    }
    return tensors.tensors();
  }

  /** Its matrices are stored with the input's features first. */
  private void addLayer(String layer) throws FormatException {
    tensors.layerNorm(layer + "ln_1", features);
    tensors.weight(layer + "attn.c_attn.weight", features, 3 * features);
    tensors.bias(layer + "attn.c_attn.bias", 3 * features);
    tensors.scaledWeight(layer + "attn.c_proj.weight", residualScale, features, features);
    tensors.bias(layer + "attn.c_proj.bias", features);
    tensors.layerNorm(layer + "ln_2", features);
    tensors.weight(layer + "mlp.c_fc.weight", features, inner);
    tensors.bias(layer + "mlp.c_fc.bias", inner);
    tensors.scaledWeight(layer + "mlp.c_proj.weight", residualScale, inner, features);
    tensors.bias(layer + "mlp.c_proj.bias", features);
  }
}
