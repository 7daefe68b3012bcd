package dev.lionstore.opencl;

import dev.lionstore.ElementType;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.ScalarKernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.rule.Master;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.UpdateRule;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;

/**
 * Compares a device's bits with the reference's on numbers that careless arithmetic gets wrong,
 * with every rounding and every type of gradient. Which kind of numbers differs is the reason that
 * the user is told.
 */
final class SelfTest {
  /** Goes up with every change of what is compared: older verdicts are then worth nothing. */
  static final int VERSION = 1;

  private static final int COUNT = 1 << 16;
  private static final long SEED = 0x11041;
  private static final double BETA1 = 0.9;

  private static final double LEARNING_RATE = 0.01;
  private static final double WEIGHT_DECAY = 0.1;

  /** Of the tensor's step, for rules that count. */
  private static final long NUMBER = 3;

  private static final ValueLayout.OfShort I16 = ValueLayout.JAVA_SHORT;

  private final UpdateRule rule;
  private final Kernel.Stepper device;

  /**
   * A test of a rule.
   *
   * @param device what is compared
   */
  SelfTest(UpdateRule rule, Kernel.Stepper device) {
    this.rule = rule;
    this.device = device;
  }

  /** What numbers are like. */
  private enum Kind {
    /** Of middling size, and so are all results: any device must get these right. */
    ORDINARY,
    /** The same, but the gradient nearly cancels the momentum. */
    CANCELLING,
    /** Subnormal, zero of both signs, and others. */
    ANY
  }

  /** Compares. */
  Verdict run() {
    Set<Verdict.Fault> faults = EnumSet.noneOf(Verdict.Fault.class);
    for (Source.Variant variant : Source.Variant.all()) {
      if (differs(variant, Kind.ORDINARY)) {
        faults.add(Verdict.Fault.OTHER);
      } else if (differs(variant, Kind.CANCELLING)) {
        faults.add(Verdict.Fault.INEXACT_FMA);
      } else if (differs(variant, Kind.ANY)) {
        faults.add(Verdict.Fault.FLUSHES_SUBNORMALS);
      }
    }
    return new Verdict(List.copyOf(faults));
  }

  private boolean differs(Source.Variant variant, Kind kind) {
    try (Arena arena = Arena.ofConfined()) {
      List<MemorySegment> expected = planes(arena, kind);
      List<MemorySegment> found = new ArrayList<>();
      for (MemorySegment plane : expected) {
        found.add(arena.allocate(plane.byteSize(), Kernel.ALIGNMENT).copyFrom(plane));
      }
      GradientValues gradient = gradient(arena, variant.gradients(), expected.get(2), kind);
      new ScalarKernel(rule).apply(step(expected, gradient, variant.rounding()), 0, COUNT);
      device.apply(step(found, gradient, variant.rounding()), 0, COUNT);
      boolean differs = false;
      for (int p = 0; p < expected.size(); p++) {
        differs |= expected.get(p).mismatch(found.get(p)) >= 0;
      }
      return differs;
    }
  }

  private TensorStep step(List<MemorySegment> planes, GradientValues gradient, Rounding rounding) {
    double[] hyperparameters =
        RuleSettings.defaults(rule)
            .with("beta1", BETA1)
            .with(RuleSettings.WEIGHT_DECAY, WEIGHT_DECAY)
            .hyperparameters(LEARNING_RATE, ParameterGroup.ofDefaults());
    return new TensorStep(
        planes, gradient, rule.coefficients(hyperparameters, 0.37, NUMBER), rounding, SEED * SEED);
  }

  private List<MemorySegment> planes(Arena arena, Kind kind) {
    SplittableRandom random = new SplittableRandom(SEED);
    List<MemorySegment> planes =
        Planes.bytesPerElement(rule).stream()
            .map(bytes -> arena.allocate((long) bytes * COUNT, Kernel.ALIGNMENT))
            .toList();
    for (int i = 0; i < COUNT; i++) {
      float theta = number(random, kind);
      int bits = Float.floatToRawIntBits(Master.holds(theta) ? theta : 1f);
      planes.get(0).setAtIndex(I16, i, Master.weights(bits));
      planes.get(1).setAtIndex(I16, i, Master.remainder(bits));
      set(planes.get(2), i, momentum(random, kind, i));
      for (int p = 3; p < planes.size(); p++) {
        set(planes.get(p), i, Math.abs(momentum(random, kind, COUNT - 1 - i)));
      }
    }
    return planes;
  }

  /** A value that bfloat16 holds, in a plane of either type. */
  private static void set(MemorySegment plane, int i, float value) {
    if (plane.byteSize() == (long) Float.BYTES * COUNT) {
      plane.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
    } else {
      plane.setAtIndex(I16, i, (short) (Float.floatToRawIntBits(value) >>> 16));
    }
  }

  private static float get(MemorySegment plane, int i) {
    return plane.byteSize() == (long) Float.BYTES * COUNT
        ? plane.getAtIndex(ValueLayout.JAVA_FLOAT, i)
        : Float.intBitsToFloat(plane.getAtIndex(I16, i) << 16);
  }

  /** Every finite bfloat16 has its turn where any number has. */
  private static float momentum(SplittableRandom random, Kind kind, int i) {
    float any = Float.intBitsToFloat(i << 16);
    return kind == Kind.ANY && Float.isFinite(any)
        ? any
        : Float.intBitsToFloat(Float.floatToRawIntBits(number(random, Kind.ORDINARY)) & 0xFFFF0000);
  }

  /** Ordinary ones lie between 2⁻⁸ and 2⁸. */
  private static float number(SplittableRandom random, Kind kind) {
    float any = Float.intBitsToFloat(random.nextInt());
    if (kind == Kind.ANY) {
      return Float.isFinite(any) ? any : 0f;
    }
    float size = Math.scalb((float) random.nextDouble(1, 2), random.nextInt(-8, 8));
    return random.nextBoolean() ? size : -size;
  }

  private static GradientValues gradient(
      Arena arena, ElementType type, MemorySegment momentum, Kind kind) {
    SplittableRandom random = new SplittableRandom(SEED + 1);
    MemorySegment data = arena.allocate((long) COUNT * type.bytes(), Kernel.ALIGNMENT);
    for (int i = 0; i < COUNT; i++) {
      float value = gradient(random, kind, get(momentum, i));
      switch (type) {
        case F32 -> data.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
        case BF16 -> data.setAtIndex(I16, i, (short) (Float.floatToRawIntBits(value) >>> 16));
        case F16 -> data.setAtIndex(I16, i, half(value, random));
      }
    }
    return new GradientValues(type, data);
  }

  private static short half(float value, SplittableRandom random) {
    short half = Float.floatToFloat16(value);
    return Float.isFinite(Float.float16ToFloat(half)) ? half : (short) (random.nextInt() & 0x83FF);
  }

  private static float gradient(SplittableRandom random, Kind kind, float m) {
    if (kind == Kind.ORDINARY || (kind == Kind.ANY && random.nextBoolean())) {
      return number(random, kind);
    }
    float near = (float) (-m * (BETA1 / (1 - BETA1)) / 0.37);
    float moved = Float.intBitsToFloat(Float.floatToRawIntBits(near) + random.nextInt(-4, 5));
    return Float.isFinite(moved) ? moved : 0f;
  }
}
