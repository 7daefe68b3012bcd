package dev.lionstore.trainer;

import java.util.ArrayList;
import java.util.List;

/**
 * The sizes of a decoder-only transformer over bytes, built and named as Llama is: root mean square
 * norms before attention and before a gated SiLU feed-forward, rotary positions, no biases.
 *
 * @param layers number of blocks
 * @param heads attention heads per block
 * @param width elements per position of the residual stream, a multiple of twice {@code heads}
 * @param feedForward elements per position inside the feed-forward
 * @param context positions that the model sees at once
 */
public record TransformerShape(int layers, int heads, int width, int feedForward, int context) {
  /** One symbol per byte value. */
  public static final int VOCABULARY = 256;

  static final int TENSORS_PER_LAYER = 9;
  private static final double DEVIATION = 0.02;

  /** Refuses sizes that make no model. */
  public TransformerShape {
    Require.atLeast(1, "layers", layers);
    Require.atLeast(1, "heads", heads);
    Require.atLeast(2, "width", width);
    Require.atLeast(1, "feed-forward", feedForward);
    Require.atLeast(2, "context", context);
    if (width % (2 * heads) != 0) {
      throw new IllegalArgumentException(
          "width is " + width + ", expected a multiple of " + 2 * heads + " (twice the heads)");
    }
  }

  /** A model that two cores train in minutes. */
  public static TransformerShape defaults() {
    return new TransformerShape(4, 4, 128, 352, 128);
  }

  /** Elements per position and head. */
  public int headWidth() {
    return width / heads;
  }

  /** All tensors, in the order in which a forward pass uses them. */
  public List<ParameterTensor> parameters() {
    List<ParameterTensor> tensors = new ArrayList<>();
    tensors.add(ParameterTensor.matrix("model.embed_tokens.weight", VOCABULARY, width, DEVIATION));
    for (int layer = 0; layer < layers; layer++) {
      addLayer(tensors, "model.layers." + layer + ".");
    }
    tensors.add(ParameterTensor.scale("model.norm.weight", width));
    tensors.add(ParameterTensor.matrix("lm_head.weight", VOCABULARY, width, DEVIATION));
    return List.copyOf(tensors);
  }

  /** Number of parameters in all tensors. */
  public long parameterCount() {
    return parameters().stream().mapToLong(ParameterTensor::count).sum();
  }

  private void addLayer(List<ParameterTensor> tensors, String prefix) {
    // What is added to the residual stream starts smaller the more layers add to it (GPT-2).
    double residual = DEVIATION / StrictMath.sqrt(2.0 * layers);
    tensors.add(ParameterTensor.scale(prefix + "input_layernorm.weight", width));
    for (String projection : List.of("q_proj", "k_proj", "v_proj")) {
      String name = prefix + "self_attn." + projection + ".weight";
      tensors.add(ParameterTensor.matrix(name, width, width, DEVIATION));
    }
    tensors.add(ParameterTensor.matrix(prefix + "self_attn.o_proj.weight", width, width, residual));
    tensors.add(ParameterTensor.scale(prefix + "post_attention_layernorm.weight", width));
    for (String projection : List.of("gate_proj", "up_proj")) {
      String name = prefix + "mlp." + projection + ".weight";
      tensors.add(ParameterTensor.matrix(name, feedForward, width, DEVIATION));
    }
    tensors.add(
        ParameterTensor.matrix(prefix + "mlp.down_proj.weight", width, feedForward, residual));
  }
}
