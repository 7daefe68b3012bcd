package dev.lionstore.trainer;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The formula of one Lion step, element by element; the reference of references. */
final class ScalarLion implements LionUnderTest {
  @Override
  public void step(
      MemorySegment master,
      MemorySegment momentum,
      MemorySegment gradient,
      long count,
      Settings settings) {
    float lr = (float) settings.learningRate();
    float decay = (float) (1 - settings.learningRate() * settings.weightDecay());
    float b1 = (float) settings.beta1();
    float o1 = (float) (1 - settings.beta1());
    float b2 = (float) settings.beta2();
    float o2 = (float) (1 - settings.beta2());
    for (long i = 0; i < count; i++) {
      float g = gradient.getAtIndex(ValueLayout.JAVA_FLOAT, i);
      float m = Float.intBitsToFloat(momentum.getAtIndex(ValueLayout.JAVA_SHORT, i) << 16);
      float theta = master.getAtIndex(ValueLayout.JAVA_FLOAT, i);
      float c = Math.fma(g, o1, m * b1);
      float sign = c > 0 ? 1 : c < 0 ? -1 : 0;
      master.setAtIndex(ValueLayout.JAVA_FLOAT, i, theta * decay - lr * sign);
      int bits = Float.floatToRawIntBits(Math.fma(g, o2, m * b2));
      int nearest = (bits + 0x7FFF + ((bits >>> 16) & 1)) >>> 16;
      momentum.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) nearest);
    }
  }
}
