package dev.lionstore.kernel;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.rule.AnySettings;
import dev.lionstore.rule.BlockCode;
import dev.lionstore.rule.Coefficients;
import dev.lionstore.rule.Master;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;

/** A tensor with hostile state and gradient; the same for the same seed. */
public final class AnyTensor {
  private final List<MemorySegment> planes;
  private final GradientValues gradient;

  /** A tensor of a rule, whose memory the arena frees. */
  public AnyTensor(Arena arena, UpdateRule rule, ElementType type, int count, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    long padded = (count + Kernel.ALIGNMENT - 1) / Kernel.ALIGNMENT * (long) Kernel.ALIGNMENT;
    planes =
        Stream.concat(Plane.MASTER.stream(), rule.statePlanes().stream())
            .map(plane -> arena.allocate(plane.type().bytes(padded), 64))
            .toList();
    List<MemorySegment> decoded =
        rule.statePlanes().stream().map(plane -> arena.allocate(4 * padded, 64)).toList();
    MemorySegment data = arena.allocate((long) count * type.bytes(), 64);
    for (int i = 0; i < count; i++) {
      setMaster(i, random);
      float momentum = 0;
      for (int p = Plane.MASTER.size(); p < planes.size(); p++) {
        Plane plane = rule.statePlanes().get(p - Plane.MASTER.size());
        float value = state(plane, random);
        boolean isBlocks = plane.type().isBlocks();
        set(
            isBlocks ? decoded.get(p - Plane.MASTER.size()) : planes.get(p),
            isBlocks ? Plane.Type.F32 : plane.type(),
            i,
            value);
        momentum = p == Plane.MASTER.size() ? value : momentum;
      }
      int g =
          random.nextInt(8) == 0 && type != ElementType.F16
              ? Float.floatToRawIntBits(largest(random)) >>> (type == ElementType.F32 ? 0 : 16)
              : Hostile.gradientBits(random, type, momentum);
      if (random.nextInt(16) == 0) {
        continue; // 0
      }
      if (type == ElementType.F32) {
        data.setAtIndex(ValueLayout.JAVA_INT, i, random.nextInt(8) == 0 ? tie(g) : g);
      } else {
        data.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) g);
      }
    }
    gradient = new GradientValues(type, data);
    for (int p = 0; p < decoded.size(); p++) {
      Plane.Type stored = rule.statePlanes().get(p).type();
      if (stored.isBlocks()) {
        encode(decoded.get(p), stored, planes.get(Plane.MASTER.size() + p), random);
      }
    }
  }

  /** Blocks of any values, and every second one of values that are about as large. */
  private static void encode(
      MemorySegment values, Plane.Type type, MemorySegment plane, SplittableRandom random) {
    int[] bits = new int[BlockCode.VALUES];
    for (int from = 0; from < values.byteSize() / 4; from += BlockCode.VALUES) {
      int exponent = random.nextBoolean() ? 0 : random.nextInt(1, 255) << 23;
      for (int i = 0; i < BlockCode.VALUES; i++) {
        int any = values.getAtIndex(ValueLayout.JAVA_INT, from + i);
        bits[i] = exponent == 0 || any == 0 ? any : (any & 0x807FFFFF) | exponent;
      }
      new BlockCode(type).encode(bits, plane, from, Rounding.NEAREST, bits);
    }
  }

  /** Any one that a store holds; some just below, at and above where weights are rounded up. */
  private void setMaster(int i, SplittableRandom random) {
    float any = random.nextInt(8) == 0 ? largest(random) : Hostile.anyFinite(random);
    int bits = Float.floatToRawIntBits(Master.holds(any) ? any : 1f);
    int near = (bits & 0xFFFF0000) + random.nextInt(0x7FFE, 0x8001);
    int master = random.nextInt(8) == 0 && Master.holds(Float.intBitsToFloat(near)) ? near : bits;
    planes.get(0).setAtIndex(ValueLayout.JAVA_SHORT, i, Master.weights(master));
    planes.get(1).setAtIndex(ValueLayout.JAVA_SHORT, i, Master.remainder(master));
  }

  private static float state(Plane plane, SplittableRandom random) {
    float value =
        plane.isRounded()
            ? Float.intBitsToFloat(Hostile.anyFiniteBf16(random) << 16)
            : Hostile.anyFinite(random);
    int other = random.nextInt(16);
    float own = other == 0 ? 0f : other == 1 ? largest(random) : value;
    return AnySettings.isSigned(plane) ? own : Math.abs(own);
  }

  /** What is next to overflow. */
  private static float largest(SplittableRandom random) {
    int bits = random.nextBoolean() ? 0x7F7F0000 : random.nextInt(0x7F7F0000, 0x7F800000);
    return Float.intBitsToFloat(random.nextBoolean() ? bits : bits | 0x80000000);
  }

  /** A number that lies between two bfloat16. */
  private static int tie(int bits) {
    return (bits & 0xFFFF0000) | 0x8000;
  }

  private static void set(MemorySegment plane, Plane.Type type, int i, float value) {
    int bits = Float.floatToRawIntBits(value);
    if (type == Plane.Type.F32) {
      plane.setAtIndex(ValueLayout.JAVA_INT, i, bits);
    } else {
      plane.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (bits >>> 16));
    }
  }

  /** The planes, the master's first. */
  public List<MemorySegment> planes() {
    return planes;
  }

  /** The gradient. */
  public GradientValues gradient() {
    return gradient;
  }

  /** A step of it. */
  public TensorStep step(Coefficients coefficients, Rounding rounding, long noiseKey) {
    return new TensorStep(planes, gradient, coefficients, rounding, noiseKey);
  }

  void step(Kernel kernel, Coefficients coefficients, Rounding rounding, long noiseKey) {
    TensorStep tensor = step(coefficients, rounding, noiseKey);
    Kernel.Stepper stepper = kernel.newStepper();
    long count = gradient.count();
    for (long from = 0; from < count; from += Kernel.MAX_SLICE) {
      stepper.apply(tensor, from, (int) Math.min(Kernel.MAX_SLICE, count - from));
    }
  }
}
