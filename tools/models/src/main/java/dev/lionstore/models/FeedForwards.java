package dev.lionstore.models;

import dev.lionstore.FormatException;
import dev.lionstore.models.Decoder.FeedForward;
import dev.lionstore.models.TensorList.Bias;
import java.util.HashSet;
import java.util.Set;

/** What follows attention in a decoder's layer: one gated network, or many to choose from. */
final class FeedForwards {
  private FeedForwards() {}

  /** One network. */
  static FeedForward dense(ModelConfig config, Bias bias) throws FormatException {
    long hidden = config.count("hidden_size");
    long inner = config.count("intermediate_size");
    return (tensors, layer, _) -> addGated(tensors, layer + "mlp.", hidden, inner, bias);
  }

  private static void addGated(TensorList tensors, String name, long hidden, long inner, Bias bias)
      throws FormatException {
    tensors.linear(name + "gate_proj", inner, hidden, bias);
    tensors.linear(name + "up_proj", inner, hidden, bias);
    tensors.linear(name + "down_proj", hidden, inner, bias);
  }

  /** Mixtral's experts, whose matrices are numbered. */
  static FeedForward mixtral(ModelConfig config) throws FormatException {
    long hidden = config.count("hidden_size");
    long inner = config.count("intermediate_size");
    long experts = config.count("num_local_experts");
    return (tensors, layer, _) -> {
      String name = layer + "block_sparse_moe.";
      tensors.weight(name + "gate.weight", experts, hidden);
      for (long expert = 0; expert < experts; expert++) {
        String prefix = name + "experts." + expert + ".";
        tensors.weight(prefix + "w1.weight", inner, hidden);
        tensors.weight(prefix + "w2.weight", hidden, inner);
        tensors.weight(prefix + "w3.weight", inner, hidden);
      }
    };
  }

  /** Qwen2's experts and the one that all tokens share; some layers may be dense. */
  static FeedForward qwen2Moe(ModelConfig config) throws FormatException {
    FeedForward dense = dense(config, Bias.NONE);
    FeedForward sparse = qwen2Experts(config);
    Set<Long> denseLayers = new HashSet<>(config.indices("mlp_only_layers"));
    long sparseStep = config.count("decoder_sparse_step", 1);
    return (tensors, layer, index) -> {
      boolean isSparse = !denseLayers.contains(index) && (index + 1) % sparseStep == 0;
      (isSparse ? sparse : dense).add(tensors, layer, index);
    };
  }

  private static FeedForward qwen2Experts(ModelConfig config) throws FormatException {
    long hidden = config.count("hidden_size");
    long inner = config.count("moe_intermediate_size");
    long shared = config.count("shared_expert_intermediate_size");
    long experts = config.count("num_experts");
    return (tensors, layer, _) -> {
      String name = layer + "mlp.";
      tensors.weight(name + "gate.weight", experts, hidden);
      for (long expert = 0; expert < experts; expert++) {
        addGated(tensors, name + "experts." + expert + ".", hidden, inner, Bias.NONE);
      }
      addGated(tensors, name + "shared_expert.", hidden, shared, Bias.NONE);
      tensors.weight(name + "shared_expert_gate.weight", 1, hidden);
    };
  }
}
