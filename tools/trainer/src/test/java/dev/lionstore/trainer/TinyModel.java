package dev.lionstore.trainer;

import dev.lionstore.ElementType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32C;

/** A model small enough for a test, with its weights in native memory. */
record TinyModel(TransformerShape shape, List<MemorySegment> weights) {
  private static final String TEXT = "the store keeps what the model learns, byte by byte; ";

  static TinyModel create(Arena arena) {
    TransformerShape shape = new TransformerShape(2, 2, 16, 24, 12);
    List<MemorySegment> weights = new ArrayList<>();
    for (int i = 0; i < shape.parameters().size(); i++) {
      MemorySegment memory = arena.allocate(shape.parameters().get(i).count() * Float.BYTES, 64);
      InitialValues.fill(shape, i, 11, memory);
      weights.add(memory);
    }
    return new TinyModel(shape, weights);
  }

  Transformer open(int threads) {
    return new Transformer(shape, Transformer.Precision.F32, weights, threads);
  }

  /** The same model with its weights rounded to bf16. */
  Transformer openInBf16(Arena arena, ElementType gradients) {
    List<MemorySegment> rounded = new ArrayList<>();
    for (MemorySegment weight : weights) {
      MemorySegment half = arena.allocate(weight.byteSize() / 2, 64);
      for (long i = 0; i < weight.byteSize() / Float.BYTES; i++) {
        int bits = weight.getAtIndex(ValueLayout.JAVA_INT, i);
        half.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) ((bits + 0x8000) >>> 16));
      }
      rounded.add(half);
    }
    return new Transformer(
        shape, new Transformer.Precision(ElementType.BF16, gradients), rounded, 2);
  }

  Batch batch(long step, int windows) {
    byte[] text = TEXT.repeat(20).getBytes(StandardCharsets.UTF_8);
    return Corpus.of(text, shape.context()).trainingBatch(3, step, windows);
  }

  /** One step against the sign of the gradient, enough to move the weights. */
  void step(ModelGradients gradients, float learningRate) {
    for (int i = 0; i < weights.size(); i++) {
      MemorySegment gradient = gradients.of(shape.parameters().get(i).name());
      MemorySegment weight = weights.get(i);
      for (long k = 0; k < weight.byteSize() / Float.BYTES; k++) {
        float sign = Math.signum(gradient.getAtIndex(ValueLayout.JAVA_FLOAT, k));
        float old = weight.getAtIndex(ValueLayout.JAVA_FLOAT, k);
        weight.setAtIndex(ValueLayout.JAVA_FLOAT, k, old - learningRate * sign);
      }
    }
  }

  /** A checksum of the loss and of every bit of every gradient. */
  static long checksum(ModelGradients gradients) {
    CRC32C crc = new CRC32C();
    gradients.byName().values().forEach(segment -> crc.update(segment.asByteBuffer()));
    return crc.getValue() ^ Double.doubleToLongBits(gradients.bitsPerByte());
  }
}
