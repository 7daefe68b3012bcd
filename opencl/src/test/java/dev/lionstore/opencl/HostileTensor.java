package dev.lionstore.opencl;

import dev.lionstore.ElementType;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.StoreMemory;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.rule.Lion;
import dev.lionstore.rule.LionConfig;
import dev.lionstore.rule.Master;
import dev.lionstore.rule.StochasticBits;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;

/**
 * A tensor whose values break careless arithmetic, in memory laid out as a store's files are: a
 * page, then the values, in each plane at another offset of the next page. The same for the same
 * seed.
 */
final class HostileTensor {
  private static final int PAGE = 4096;
  private static final int PLANES = 3;
  private static final int STAGGER = 1024;
  private static final double BETA1 = 0.9;
  private static final ValueLayout.OfShort I16 = ValueLayout.JAVA_SHORT;

  private final List<MemorySegment> files = new ArrayList<>();
  private final List<MemorySegment> planes = new ArrayList<>();
  private final MemorySegment progress;
  private final MemorySegment gradientFile;
  private final GradientValues gradient;
  private final int count;

  /**
   * What is in a tensor.
   *
   * @param type of its gradient
   * @param count of its elements
   * @param seed of its values
   * @param values what they are like
   */
  record Shape(ElementType type, int count, long seed, Values values) {}

  /** What values are like. */
  enum Values {
    /** Any finite ones, and gradients that nearly cancel. */
    HOSTILE,
    /** Neither they nor any result is subnormal; gradients nearly cancel. */
    NORMAL
  }

  HostileTensor(Arena arena, Shape shape) {
    this.count = shape.count();
    long padded = Planes.padded(count);
    for (int p = 0; p < PLANES; p++) {
      files.add(file(arena, PAGE + (long) p * STAGGER + 2 * padded));
      planes.add(files.get(p).asSlice(PAGE + (long) p * STAGGER, 2 * padded));
    }
    this.progress = file(arena, PAGE);
    long bytes = (long) count * shape.type().bytes();
    this.gradientFile = file(arena, PAGE + (long) PLANES * STAGGER + bytes);
    this.gradient =
        new GradientValues(
            shape.type(), gradientFile.asSlice(PAGE + (long) PLANES * STAGGER, bytes));
    fill(shape);
  }

  private static MemorySegment file(Arena arena, long bytes) {
    return arena.allocate(Math.ceilDiv(bytes, (long) PAGE) * PAGE, PAGE);
  }

  private void fill(Shape shape) {
    SplittableRandom random = new SplittableRandom(shape.seed());
    for (int i = 0; i < count; i++) {
      float theta = number(random, shape.values());
      int bits = Float.floatToRawIntBits(Master.holds(theta) ? theta : 1f);
      short momentum = (short) (Float.floatToRawIntBits(number(random, shape.values())) >>> 16);
      planes.get(0).setAtIndex(I16, i, Master.weights(bits));
      planes.get(1).setAtIndex(I16, i, Master.remainder(bits));
      planes.get(2).setAtIndex(I16, i, momentum);
      float g = gradient(random, shape.values(), Float.intBitsToFloat(momentum << 16));
      switch (shape.type()) {
        case F32 -> gradient.data().setAtIndex(ValueLayout.JAVA_FLOAT, i, g);
        case BF16 ->
            gradient.data().setAtIndex(I16, i, (short) (Float.floatToRawIntBits(g) >>> 16));
        case F16 -> gradient.data().setAtIndex(I16, i, half(random, g));
      }
    }
  }

  private static float number(SplittableRandom random, Values values) {
    float any = Float.intBitsToFloat(random.nextInt());
    if (values == Values.HOSTILE) {
      return Float.isFinite(any) ? any : random.nextBoolean() ? 0f : -0f;
    }
    float size = Math.scalb((float) random.nextDouble(1, 2), random.nextInt(-9, 9));
    return random.nextBoolean() ? size : -size;
  }

  private static float gradient(SplittableRandom random, Values values, float m) {
    if (random.nextBoolean()) {
      return number(random, values);
    }
    float near = (float) (-m * (BETA1 / (1 - BETA1)));
    float moved = Float.intBitsToFloat(Float.floatToRawIntBits(near) + random.nextInt(-3, 4));
    return Float.isFinite(moved) ? moved : 0f;
  }

  private static short half(SplittableRandom random, float value) {
    short half = random.nextBoolean() ? Float.floatToFloat16(value) : (short) random.nextInt();
    return (half & 0x7C00) == 0x7C00 ? (short) (half & 0x83FF) : half;
  }

  /** The planes as mapped files, with the gradient as a plane. */
  StoreMemory memory() {
    return new StoreMemory(files, Optional.of(gradientFile), progress);
  }

  /** The same without a gradient plane: the gradient is the caller's own. */
  StoreMemory memoryWithoutGradients() {
    return new StoreMemory(files, Optional.empty(), progress);
  }

  /** The planes. */
  List<MemorySegment> planes() {
    return planes;
  }

  /** A step with learning rate 0.01, weight decay 1 and β of the paper. */
  TensorStep step(Rounding rounding, int step) {
    return new TensorStep(
        planes,
        gradient,
        Lion.RULE.coefficients(
            new LionConfig(BETA1, 0.99, 1).hyperparameters(0.01, ParameterGroup.ofDefaults()), 1),
        rounding,
        StochasticBits.key(5, step, StochasticBits.nameKey("tensor")));
  }

  /** How many elements it has. */
  int count() {
    return count;
  }

  /** The first byte at which a plane's file differs; -1 if none does. */
  long mismatch(HostileTensor other) {
    for (int p = 0; p < PLANES; p++) {
      long at = files.get(p).mismatch(other.files.get(p));
      if (at >= 0) {
        return at;
      }
    }
    return -1;
  }
}
