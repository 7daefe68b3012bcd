package dev.lionstore.trainer;

import dev.lionstore.ElementType;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The forward pass, Llama's, over parameter tensors that others own. Every tensor that a call makes
 * belongs to the pointer scope of the caller; calls may run on several threads at once.
 */
final class Network implements AutoCloseable {
  private static final double NORM_EPSILON = 1e-5;
  private static final int HEAD_DIMENSION = 3;

  private final TransformerShape shape;
  private final Tensor embedding;
  private final List<Layer> layers;
  private final Tensor finalNorm;
  private final Tensor head;
  private final PositionTables tables;

  private record Layer(
      Tensor inputNorm,
      Tensor query,
      Tensor key,
      Tensor value,
      Tensor attentionOut,
      Tensor feedForwardNorm,
      Tensor gate,
      Tensor up,
      Tensor down) {}

  /**
   * Takes the parameters apart.
   *
   * @param parameters in the order of {@link TransformerShape#parameters()}, all of {@code compute}
   */
  Network(TransformerShape shape, ElementType compute, List<Tensor> parameters) {
    this.shape = shape;
    this.embedding = parameters.getFirst();
    this.layers = layers(parameters);
    this.finalNorm = parameters.get(parameters.size() - 2);
    this.head = parameters.getLast();
    this.tables = new PositionTables(shape, NativeTensors.scalarType(compute));
  }

  private static List<Layer> layers(List<Tensor> all) {
    List<Layer> layers = new ArrayList<>();
    for (int i = 1;
        i + TransformerShape.TENSORS_PER_LAYER < all.size();
        i += TransformerShape.TENSORS_PER_LAYER) {
      List<Tensor> own = all.subList(i, i + TransformerShape.TENSORS_PER_LAYER);
      layers.add(
          new Layer(
              own.get(0),
              own.get(1),
              own.get(2),
              own.get(3),
              own.get(4),
              own.get(5),
              own.get(6),
              own.get(7),
              own.get(8)));
    }
    return layers;
  }

  /** Mean cross-entropy over all predictions of the batch, in nats, fp32. */
  Tensor loss(Batch batch) {
    int positions = batch.positions();
    long[] inputs = new long[batch.size() * positions];
    long[] targets = new long[inputs.length];
    for (int window = 0; window < batch.size(); window++) {
      byte[] text = batch.windows().get(window);
      for (int i = 0; i < positions; i++) {
        inputs[window * positions + i] = Byte.toUnsignedLong(text[i]);
        targets[window * positions + i] = Byte.toUnsignedLong(text[i + 1]);
      }
    }
    Tensor logits = logits(torch.tensor(inputs).view(batch.size(), positions));
    return torch.cross_entropy_loss(
        logits.view(inputs.length, TransformerShape.VOCABULARY), torch.tensor(targets));
  }

  /** Scores of the next byte, fp32, from tokens (batch, positions): (batch, positions, 256). */
  Tensor logits(Tensor tokens) {
    Tensor stream = torch.embedding(embedding, tokens);
    for (Layer layer : layers) {
      stream = stream.add(attention(layer, norm(stream, layer.inputNorm())));
      stream = stream.add(feedForward(layer, norm(stream, layer.feedForwardNorm())));
    }
    return torch.linear(norm(stream, finalNorm), head).to(ScalarType.Float);
  }

  private Tensor attention(Layer layer, Tensor x) {
    long positions = x.size(1);
    Tensor query = rotate(heads(torch.linear(x, layer.query())), positions);
    Tensor key = rotate(heads(torch.linear(x, layer.key())), positions);
    Tensor value = heads(torch.linear(x, layer.value()));
    // Written out: libtorch's fused attention takes five times as long in bf16 on a CPU, and is no
    // faster in fp32 at these sizes.
    Tensor scaled = query.mul(new Scalar(1 / Math.sqrt(shape.headWidth())));
    Tensor scores = torch.matmul(scaled, key.transpose(2, HEAD_DIMENSION));
    Tensor weights = torch.softmax(scores.add(tables.mask(positions)), -1);
    Tensor mixed = torch.matmul(weights, value).transpose(1, 2);
    return torch.linear(mixed.reshape(x.size(0), positions, shape.width()), layer.attentionOut());
  }

  private static Tensor feedForward(Layer layer, Tensor x) {
    Tensor gated = torch.silu(torch.linear(x, layer.gate())).mul(torch.linear(x, layer.up()));
    return torch.linear(gated, layer.down());
  }

  private Tensor norm(Tensor x, Tensor weight) {
    return torch.rms_norm(
        x,
        new long[] {shape.width()},
        new TensorOptional(weight),
        new DoubleOptional(NORM_EPSILON));
  }

  /** (batch, positions, width) as (batch, heads, positions, head width). */
  private Tensor heads(Tensor x) {
    return x.view(x.size(0), x.size(1), shape.heads(), shape.headWidth()).transpose(1, 2);
  }

  /** Rotary position embedding, halves paired as in Llama checkpoints. */
  private Tensor rotate(Tensor x, long positions) {
    long half = shape.headWidth() / 2;
    Tensor low = x.narrow(HEAD_DIMENSION, 0, half);
    Tensor high = x.narrow(HEAD_DIMENSION, half, half);
    Tensor turned = torch.cat(new TensorVector(high.neg(), low), HEAD_DIMENSION);
    return x.mul(tables.cosine(positions)).add(turned.mul(tables.sine(positions)));
  }

  @Override
  public void close() {
    tables.close();
  }
}
