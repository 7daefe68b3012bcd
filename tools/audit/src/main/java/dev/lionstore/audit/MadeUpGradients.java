package dev.lionstore.audit;

import dev.lionstore.ElementType;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.os.LargePages;
import dev.lionstore.store.StateStore;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;

/** Gradients that nobody computed: small normal values in bf16, the same for every tensor. */
final class MadeUpGradients implements AutoCloseable {
  private static final int PERIOD = 1 << 20;
  private static final double DEVIATION = 1e-3;

  private final Arena arena = Arena.ofShared();
  private final MemorySegment values;

  /**
   * Makes them.
   *
   * @param largest parameters of the largest tensor
   */
  MadeUpGradients(long largest) {
    values = LargePages.allocate(arena, Math.max(1, largest) * Short.BYTES);
    SplittableRandom random = new SplittableRandom(1);
    long period = Math.min(PERIOD, largest);
    for (long i = 0; i < period; i++) {
      int bits = Float.floatToRawIntBits((float) (DEVIATION * random.nextGaussian()));
      values.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (bits >>> 16));
    }
    long bytes = period * Short.BYTES;
    for (long at = bytes; at < values.byteSize(); at += bytes) {
      MemorySegment.copy(values, 0, values, at, Math.min(bytes, values.byteSize() - at));
    }
  }

  /** Puts one for every tensor that is trained. */
  void putInto(StateStore store) {
    for (int t = 0; t < store.layout().tensors().size(); t++) {
      TensorSpec tensor = store.layout().tensors().get(t);
      if (tensor.trainable()) {
        MemorySegment part = values.asSlice(0, tensor.count() * Short.BYTES);
        store.gradients().put(t, new GradientValues(ElementType.BF16, part));
      }
    }
  }

  @Override
  public void close() {
    arena.close();
  }
}
