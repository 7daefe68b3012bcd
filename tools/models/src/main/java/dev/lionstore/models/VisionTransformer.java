package dev.lionstore.models;

import dev.lionstore.FormatException;
import dev.lionstore.checkpoint.InitialTensor;
import dev.lionstore.models.TensorList.Bias;
import java.util.List;
import java.util.OptionalLong;

/** The tensors of ViT, as Transformers' {@code modeling_vit.py} names them. */
final class VisionTransformer {
  private static final long USUAL_LABELS = 2;

  private final ModelConfig config;
  private final TensorList tensors;
  private final long hidden;
  private final long inner;
  private final Bias inputs;

  private VisionTransformer(ModelConfig config) throws FormatException {
    this.config = config;
    this.tensors = new TensorList(config);
    this.hidden = config.count("hidden_size");
    this.inner = config.count("intermediate_size");
    this.inputs = Bias.of(config.flag("qkv_bias", true));
    Attention.shared(config, hidden, config.count("num_attention_heads"));
  }

  static List<InitialTensor> tensors(ModelConfig config) throws FormatException {
    Head head = Head.of(config, "ViTForImageClassification", "ViTModel");
    return new VisionTransformer(config).all(head);
  }

  private List<InitialTensor> all(Head head) throws FormatException {
    String body = head.prefix("vit.");
    addEmbeddings(body + "embeddings.");
    long layers = config.count("num_hidden_layers");
    for (long layer = 0; layer < layers; layer++) {
      addLayer(body + "encoder.layer." + layer + ".");
    }
    tensors.layerNorm(body + "layernorm", hidden);
    if (head == Head.OWN) {
      tensors.linear("classifier", labels(), hidden, Bias.GIVEN);
    } else {
      long pooled = config.count("pooler_output_size", hidden);
      tensors.linear("pooler.dense", pooled, hidden, Bias.GIVEN);
    }
    return tensors.tensors();
  }

  private void addEmbeddings(String name) throws FormatException {
    long image = config.count("image_size");
    long patch = config.count("patch_size");
    if (patch > image) {
      throw config.wrong("patch_size", patch, "at most image_size, " + image);
    }
    long patches = Math.multiplyExact(image / patch, image / patch);
    tensors.weight(name + "cls_token", 1, 1, hidden);
    tensors.weight(name + "position_embeddings", 1, patches + 1, hidden);
    String projection = name + "patch_embeddings.projection.";
    tensors.weight(projection + "weight", hidden, config.count("num_channels", 3), patch, patch);
    tensors.bias(projection + "bias", hidden);
  }

  private void addLayer(String layer) throws FormatException {
    for (String input : List.of("query", "key", "value")) {
      tensors.linear(layer + "attention.attention." + input, hidden, hidden, inputs);
    }
    tensors.linear(layer + "attention.output.dense", hidden, hidden, Bias.GIVEN);
    tensors.linear(layer + "intermediate.dense", inner, hidden, Bias.GIVEN);
    tensors.linear(layer + "output.dense", hidden, inner, Bias.GIVEN);
    tensors.layerNorm(layer + "layernorm_before", hidden);
    tensors.layerNorm(layer + "layernorm_after", hidden);
  }

  /** Transformers writes the labels' names and derives their number. */
  private long labels() throws FormatException {
    OptionalLong named = config.size("id2label");
    if (named.isPresent() && named.getAsLong() == 0) {
      throw config.wrong("id2label", "empty", "at least one label");
    }
    return named.isPresent() ? named.getAsLong() : config.count("num_labels", USUAL_LABELS);
  }
}
