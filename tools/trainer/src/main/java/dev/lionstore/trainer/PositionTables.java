package dev.lionstore.trainer;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * What depends on positions alone: rotary cosines and sines (context, head width) and the causal
 * mask (context, context), made once.
 */
final class PositionTables implements AutoCloseable {
  private static final double ROTARY_BASE = 10_000;

  private final Tensor cosine;
  private final Tensor sine;
  private final Tensor mask;

  PositionTables(TransformerShape shape, ScalarType type) {
    int width = shape.headWidth();
    float[] cosines = new float[shape.context() * width];
    float[] sines = new float[cosines.length];
    for (int i = 0; i < cosines.length; i++) {
      int position = i / width;
      int pair = i % width % (width / 2);
      double angle = position * StrictMath.pow(ROTARY_BASE, -2.0 * pair / width);
      cosines[i] = (float) StrictMath.cos(angle);
      sines[i] = (float) StrictMath.sin(angle);
    }
    this.cosine = table(cosines, width, type);
    this.sine = table(sines, width, type);
    this.mask = table(causalMask(shape.context()), shape.context(), type);
  }

  private static float[] causalMask(int context) {
    float[] mask = new float[context * context];
    for (int from = 0; from < context; from++) {
      for (int to = from + 1; to < context; to++) {
        mask[from * context + to] = Float.NEGATIVE_INFINITY;
      }
    }
    return mask;
  }

  private static Tensor table(float[] values, int columns, ScalarType type) {
    try (PointerScope _ = new PointerScope()) {
      return NativeTensors.keep(torch.tensor(values).view(-1, columns).to(type).clone());
    }
  }

  Tensor cosine(long positions) {
    return cosine.narrow(0, 0, positions);
  }

  Tensor sine(long positions) {
    return sine.narrow(0, 0, positions);
  }

  Tensor mask(long positions) {
    return mask.narrow(0, 0, positions).narrow(1, 0, positions);
  }

  @Override
  public void close() {
    cosine.close();
    sine.close();
    mask.close();
  }
}
