package dev.lionstore.models;

import dev.lionstore.FormatException;
import dev.lionstore.checkpoint.InitialTensor;
import dev.lionstore.models.TensorList.Bias;
import java.util.List;

/**
 * The tensors of decoders in Llama's form, as Transformers' {@code modeling_llama.py} and its like
 * name them. Families differ in biases, norms of heads and what follows attention.
 */
final class Decoder {
  private static final long QWEN3_HEAD_DIMENSION = 128;

  private final ModelConfig config;
  private final TensorList tensors;
  private final Attention attention;
  private final Traits traits;

  /**
   * How a family's layers differ from others.
   *
   * @param inputs whether queries, keys and values have biases
   * @param output whether attention's output has one
   * @param normedHeads whether queries and keys are normed, head by head
   * @param feedForward what follows attention
   */
  private record Traits(Bias inputs, Bias output, boolean normedHeads, FeedForward feedForward) {}

  /** Adds what follows attention in a layer. */
  interface FeedForward {
    /**
     * Adds it.
     *
     * @param layer what its names begin with
     * @param index of the layer, from 0
     */
    void add(TensorList tensors, String layer, long index) throws FormatException;
  }

  private Decoder(ModelConfig config, Attention attention, Traits traits) throws FormatException {
    this.config = config;
    this.tensors = new TensorList(config);
    this.attention = attention;
    this.traits = traits;
  }

  static List<InitialTensor> llama(ModelConfig config) throws FormatException {
    Bias bias = Bias.of(config.flag("attention_bias", false));
    FeedForward dense = FeedForwards.dense(config, Bias.of(config.flag("mlp_bias", false)));
    return new Decoder(config, Attention.ofLlama(config), new Traits(bias, bias, false, dense))
        .all("Llama");
  }

  static List<InitialTensor> mistral(ModelConfig config) throws FormatException {
    FeedForward dense = FeedForwards.dense(config, Bias.NONE);
    return new Decoder(
            config,
            Attention.of(config, Attention.SHARED),
            new Traits(Bias.NONE, Bias.NONE, false, dense))
        .all("Mistral");
  }

  static List<InitialTensor> mixtral(ModelConfig config) throws FormatException {
    FeedForward experts = FeedForwards.mixtral(config);
    return new Decoder(
            config,
            Attention.of(config, Attention.SHARED),
            new Traits(Bias.NONE, Bias.NONE, false, experts))
        .all("Mixtral");
  }

  static List<InitialTensor> qwen2(ModelConfig config) throws FormatException {
    FeedForward dense = FeedForwards.dense(config, Bias.NONE);
    return new Decoder(
            config,
            Attention.of(config, Attention.SHARED),
            new Traits(Bias.GIVEN, Bias.NONE, false, dense))
        .all("Qwen2");
  }

  static List<InitialTensor> qwen2Moe(ModelConfig config) throws FormatException {
    Bias inputs = Bias.of(config.flag("qkv_bias", true));
    FeedForward experts = FeedForwards.qwen2Moe(config);
    return new Decoder(
            config,
            Attention.of(config, Attention.SHARED),
            new Traits(inputs, Bias.NONE, false, experts))
        .all("Qwen2Moe");
  }

  static List<InitialTensor> qwen3(ModelConfig config) throws FormatException {
    Bias bias = Bias.of(config.flag("attention_bias", false));
    FeedForward dense = FeedForwards.dense(config, Bias.NONE);
    return new Decoder(
            config, Attention.of(config, QWEN3_HEAD_DIMENSION), new Traits(bias, bias, true, dense))
        .all("Qwen3");
  }

  private List<InitialTensor> all(String family) throws FormatException {
    Head head = Head.of(config, family + "ForCausalLM", family + "Model");
    String body = head.prefix("model.");
    long hidden = attention.hidden();
    long vocabulary = config.count("vocab_size");
    long layers = config.count("num_hidden_layers");
    tensors.weight(body + "embed_tokens.weight", vocabulary, hidden);
    for (long layer = 0; layer < layers; layer++) {
      addLayer(body + "layers." + layer + ".", layer);
    }
    tensors.scale(body + "norm.weight", hidden);
    if (head == Head.OWN && !config.flag("tie_word_embeddings", false)) {
      tensors.weight("lm_head.weight", vocabulary, hidden);
    }
    return tensors.tensors();
  }

  private void addLayer(String layer, long index) throws FormatException {
    long hidden = attention.hidden();
    tensors.scale(layer + "input_layernorm.weight", hidden);
    addAttention(layer + "self_attn.");
    tensors.scale(layer + "post_attention_layernorm.weight", hidden);
    traits.feedForward().add(tensors, layer, index);
  }

  private void addAttention(String name) throws FormatException {
    long hidden = attention.hidden();
    tensors.linear(name + "q_proj", attention.queries(), hidden, traits.inputs());
    tensors.linear(name + "k_proj", attention.keys(), hidden, traits.inputs());
    tensors.linear(name + "v_proj", attention.keys(), hidden, traits.inputs());
    tensors.linear(name + "o_proj", hidden, attention.queries(), traits.output());
    if (traits.normedHeads()) {
      tensors.scale(name + "q_norm.weight", attention.headDimension());
      tensors.scale(name + "k_norm.weight", attention.headDimension());
    }
  }
}
