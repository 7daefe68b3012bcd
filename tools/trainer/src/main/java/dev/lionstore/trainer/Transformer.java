package dev.lionstore.trainer;

import dev.lionstore.ElementType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.Future;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/**
 * Loss and gradients of a {@link TransformerShape}, computed on weights that stay where the caller
 * keeps them: each call reads them as they are then. A batch is cut into shards of fixed size,
 * which run on any number of threads and are added in order, so the number of threads changes no
 * bit. One call at a time; the weights must not change during it.
 */
public final class Transformer implements AutoCloseable {
  private static final int WINDOWS_PER_SHARD = 4;
  private static final double NATS_PER_BIT = StrictMath.log(2);

  private final TransformerShape shape;
  private final Precision precision;
  private final ParameterLeaves leaves;
  private final Network network;
  private final ShardWorkers workers;

  /**
   * What is computed in, and what gradients are delivered in.
   *
   * @param weights type of the weights in the caller's memory and of the computation: F32 anywhere,
   *     BF16 only where the CPU multiplies bf16, or it takes many times as long
   * @param gradients type of {@link ModelGradients#byName()}; shards are always added in fp32
   */
  public record Precision(ElementType weights, ElementType gradients) {
    /** Everything in fp32. */
    public static final Precision F32 = new Precision(ElementType.F32, ElementType.F32);

    /** Refuses F16, whose range gradients leave. */
    public Precision {
      if (weights == ElementType.F16 || gradients == ElementType.F16) {
        throw new IllegalArgumentException(
            "weights are " + weights + ", gradients " + gradients + ", expected F32 or BF16");
      }
    }
  }

  /** The shard's part of the mean loss, in nats, and of its gradients. */
  private record ShardResult(double loss, TensorVector gradients) {}

  /**
   * Opens the model on weights in place.
   *
   * @param weights one native segment per tensor of {@link TransformerShape#parameters()},
   *     row-major, native byte order; kept reachable, never written
   * @param threads shards that run at once, at least 1
   */
  public Transformer(
      TransformerShape shape, Precision precision, List<MemorySegment> weights, int threads) {
    Require.atLeast(1, "threads", threads);
    Libtorch.start();
    this.shape = shape;
    this.precision = precision;
    this.leaves = new ParameterLeaves(shape.parameters(), precision.weights(), weights);
    this.network = new Network(shape, precision.weights(), leaves.tensors());
    this.workers = new ShardWorkers(threads);
  }

  /** The sizes of the model. */
  public TransformerShape shape() {
    return shape;
  }

  /**
   * One forward and backward pass.
   *
   * @param batch windows of at most {@link TransformerShape#context()} + 1 bytes
   */
  public ModelGradients gradients(Batch batch) {
    requireFitting(batch);
    List<Callable<ShardResult>> shards = new ArrayList<>();
    for (Batch shard : batch.shards(WINDOWS_PER_SHARD)) {
      double part = (double) shard.size() / batch.size();
      shards.add(() -> backward(shard, part));
    }
    List<Future<ShardResult>> running = workers.start(shards);
    ShardResult first = ShardWorkers.await(running.getFirst());
    double loss = first.loss();
    for (Future<ShardResult> next : running.subList(1, running.size())) {
      ShardResult other = ShardWorkers.await(next);
      loss += other.loss();
      addAndFree(first.gradients(), other.gradients());
    }
    TensorVector result = NativeTensors.convert(first.gradients(), precision.gradients());
    first.gradients().close();
    return new ModelGradients(loss / NATS_PER_BIT, leaves.parameters(), result);
  }

  /** Mean loss over all predictions of a batch of any size, in bits per byte. */
  public double bitsPerByte(Batch batch) {
    requireFitting(batch);
    List<Callable<Double>> shards = new ArrayList<>();
    for (Batch shard : batch.shards(WINDOWS_PER_SHARD)) {
      shards.add(() -> shard.predictions() * withoutGradients(shard));
    }
    double nats = 0;
    for (Future<Double> shard : workers.start(shards)) {
      nats += ShardWorkers.await(shard);
    }
    return nats / NATS_PER_BIT / batch.predictions();
  }

  /**
   * Scores of every byte value as the one that follows.
   *
   * @param text 1 to {@link TransformerShape#context()} bytes
   */
  public float[] nextByteScores(byte[] text) {
    if (text.length < 1 || text.length > shape.context()) {
      throw new IllegalArgumentException(
          "text has " + text.length + " bytes, expected 1 to " + shape.context());
    }
    long[] tokens = new long[text.length];
    for (int i = 0; i < text.length; i++) {
      tokens[i] = Byte.toUnsignedLong(text[i]);
    }
    try (PointerScope _ = new PointerScope();
        NoGradGuard _ = new NoGradGuard();
        Arena arena = Arena.ofConfined()) {
      Tensor logits = network.logits(torch.tensor(tokens).view(1, text.length));
      Tensor last = logits.narrow(1, text.length - 1L, 1).contiguous();
      return NativeTensors.view(last, arena).toArray(ValueLayout.JAVA_FLOAT);
    }
  }

  private ShardResult backward(Batch shard, double part) {
    try (PointerScope _ = new PointerScope()) {
      Tensor loss = network.loss(shard).mul(new Scalar(part));
      TensorVector gradients = torch.grad(new TensorVector(loss), leaves.vector());
      return new ShardResult(loss.item_double(), NativeTensors.convert(gradients, ElementType.F32));
    }
  }

  private double withoutGradients(Batch shard) {
    try (PointerScope _ = new PointerScope();
        NoGradGuard _ = new NoGradGuard()) {
      return network.loss(shard).item_double();
    }
  }

  private static void addAndFree(TensorVector sum, TensorVector addend) {
    try (PointerScope _ = new PointerScope()) {
      for (long i = 0; i < sum.size(); i++) {
        sum.get(i).add_(addend.get(i));
      }
    }
    addend.close();
  }

  private void requireFitting(Batch batch) {
    if (batch.positions() > shape.context()) {
      throw new IllegalArgumentException(
          "a window has "
              + batch.positions()
              + " positions, the model's context is "
              + shape.context());
    }
  }

  /** Ends the threads and frees what libtorch holds; the caller's memory is only let go. */
  @Override
  public void close() {
    workers.close();
    network.close();
    leaves.close();
  }
}
