package dev.lionstore.opencl;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.ScalarKernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.rule.BlockCode;
import dev.lionstore.rule.Coefficients;
import dev.lionstore.rule.Master;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.UpdateRule;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;

/**
 * Compares a device's bits with the reference's on numbers that careless arithmetic gets wrong,
 * with every rounding and every type of gradient. Which kind of numbers differs is the reason that
 * the user is told.
 */
final class SelfTest {
  /** Goes up with every change of what is compared: older verdicts are then worth nothing. */
  static final int VERSION = 2;

  private static final int COUNT = 1 << 16;
  private static final long SEED = 0x11041;

  private static final int MASTER_PLANES = Plane.MASTER.size();

  /** States have their values in other orders; 1 and a multiple of it is odd. */
  private static final int EVEN = 0x4F1A;

  private static final double SCALE = 0.37;
  private static final double WEIGHT_DECAY = 0.1;

  /** Of the tensor's step, for rules that count. */
  private static final long NUMBER = 3;

  /** What values of a block are multiplied by, as powers of two; with the least some become 0. */
  private static final int LEAST_EXPONENT = -152;

  private static final int MOST_EXPONENT = 118;

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

  /** Compares; the rule's choices are for one variant, because all share the formula. */
  Verdict run() {
    List<RuleSettings> settings = TellingSettings.of(rule, WEIGHT_DECAY);
    List<KernelSource.Variant> variants = KernelSource.Variant.all();
    Set<Verdict.Fault> faults = EnumSet.noneOf(Verdict.Fault.class);
    for (KernelSource.Variant variant : variants) {
      fault(variant, settings.getFirst()).ifPresent(faults::add);
    }
    for (RuleSettings choice : settings.subList(1, settings.size())) {
      fault(variants.getFirst(), choice).ifPresent(faults::add);
    }
    return new Verdict(List.copyOf(faults));
  }

  private Optional<Verdict.Fault> fault(KernelSource.Variant variant, RuleSettings settings) {
    if (differs(variant, settings, Kind.ORDINARY)) {
      return Optional.of(Verdict.Fault.OTHER);
    }
    if (differs(variant, settings, Kind.CANCELLING)) {
      return Optional.of(Verdict.Fault.INEXACT_FMA);
    }
    return differs(variant, settings, Kind.ANY)
        ? Optional.of(Verdict.Fault.FLUSHES_SUBNORMALS)
        : Optional.empty();
  }

  private boolean differs(KernelSource.Variant variant, RuleSettings settings, Kind kind) {
    try (Arena arena = Arena.ofConfined()) {
      List<MemorySegment> expected = planes(arena, kind);
      List<MemorySegment> found = new ArrayList<>();
      for (MemorySegment plane : expected) {
        found.add(arena.allocate(plane.byteSize(), Kernel.ALIGNMENT).copyFrom(plane));
      }
      GradientValues gradient = gradient(arena, variant.gradients(), expected, settings, kind);
      Coefficients k = rule.coefficients(TellingSettings.hyperparameters(settings), SCALE, NUMBER);
      Rounding rounding = variant.rounding();
      new ScalarKernel(rule).newStepper().apply(step(expected, gradient, k, rounding), 0, COUNT);
      device.apply(step(found, gradient, k, rounding), 0, COUNT);
      boolean differs = false;
      for (int p = 0; p < expected.size(); p++) {
        differs |= expected.get(p).mismatch(found.get(p)) >= 0;
      }
      return differs;
    }
  }

  private static TensorStep step(
      List<MemorySegment> planes, GradientValues gradient, Coefficients k, Rounding rounding) {
    return new TensorStep(planes, gradient, k, rounding, SEED * SEED);
  }

  private List<MemorySegment> planes(Arena arena, Kind kind) {
    SplittableRandom random = new SplittableRandom(SEED);
    List<MemorySegment> planes =
        PlaneMemory.types(rule).stream()
            .map(type -> arena.allocate(type.bytes(COUNT), Kernel.ALIGNMENT))
            .toList();
    for (int i = 0; i < COUNT; i++) {
      float theta = number(random, kind);
      int bits = Float.floatToRawIntBits(Master.holds(theta) ? theta : 1f);
      planes.get(0).setAtIndex(I16, i, Master.weights(bits));
      planes.get(1).setAtIndex(I16, i, Master.remainder(bits));
      for (int p = MASTER_PLANES; p < planes.size(); p++) {
        int state = p - MASTER_PLANES;
        float value = state(random, kind, i * (1 + state * EVEN) & (COUNT - 1));
        boolean isSigned = TellingSettings.isSigned(rule.statePlanes().get(state));
        set(planes, p, i, isSigned ? value : Math.abs(value));
      }
    }
    for (int p = MASTER_PLANES; p < planes.size(); p++) {
      if (type(p).isBlocks()) {
        fillBlocks(type(p), planes.get(p), new SplittableRandom(SEED + p), kind);
      }
    }
    return planes;
  }

  private Plane.Type type(int plane) {
    return rule.allPlanes().get(plane).type();
  }

  /** A value that bfloat16 holds, in a plane of either type; blocks are filled as a whole. */
  private void set(List<MemorySegment> planes, int p, int i, float value) {
    switch (type(p)) {
      case F32 -> planes.get(p).setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
      case BF16, I16 ->
          planes.get(p).setAtIndex(I16, i, (short) (Float.floatToRawIntBits(value) >>> 16));
      case I8, U8 -> {
        // Follow when all else is there.
      }
    }
  }

  private static void fillBlocks(
      Plane.Type type, MemorySegment plane, SplittableRandom random, Kind kind) {
    BlockCode code = new BlockCode(type);
    int[] bits = new int[BlockCode.VALUES];
    for (int from = 0; from < COUNT; from += BlockCode.VALUES) {
      for (int i = 0; i < BlockCode.VALUES; i++) {
        float value = numberOfBlock(random, kind, from);
        bits[i] = Float.floatToRawIntBits(type == Plane.Type.U8 ? Math.abs(value) : value);
      }
      code.encode(bits, plane, from, Rounding.NEAREST, bits);
    }
  }

  /** Any number, but not far from others of its block: beside a large one, all have code 0. */
  private static float numberOfBlock(SplittableRandom random, Kind kind, int i) {
    float ordinary = number(random, Kind.ORDINARY);
    int range = MOST_EXPONENT - LEAST_EXPONENT + 1;
    int exponent = LEAST_EXPONENT + i / BlockCode.VALUES % range;
    return kind == Kind.ANY ? Math.scalb(ordinary, exponent) : ordinary;
  }

  /** Of the first state. */
  private float get(MemorySegment plane, int i) {
    Plane.Type type = type(MASTER_PLANES);
    return switch (type) {
      case F32 -> plane.getAtIndex(ValueLayout.JAVA_FLOAT, i);
      case BF16, I16 -> Float.intBitsToFloat(plane.getAtIndex(I16, i) << 16);
      case I8, U8 -> new BlockCode(type).value(plane, i);
    };
  }

  /** Every finite bfloat16 has its turn where any number has. */
  private static float state(SplittableRandom random, Kind kind, int i) {
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

  private GradientValues gradient(
      Arena arena, ElementType type, List<MemorySegment> planes, RuleSettings settings, Kind kind) {
    SplittableRandom random = new SplittableRandom(SEED + 1);
    MemorySegment data = arena.allocate((long) COUNT * type.bytes(), Kernel.ALIGNMENT);
    for (int i = 0; i < COUNT; i++) {
      float value = gradient(random, kind, cancelling(planes, settings, i) / SCALE, i);
      switch (type) {
        case F32 -> data.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
        case BF16 -> data.setAtIndex(I16, i, (short) (Float.floatToRawIntBits(value) >>> 16));
        case F16 -> data.setAtIndex(I16, i, half(value, random));
      }
    }
    return new GradientValues(type, data);
  }

  /** What nearly cancels the first state, or the weight decay where that is added to it. */
  private double cancelling(List<MemorySegment> planes, RuleSettings settings, int i) {
    if (i % 2 == 0 && planes.size() > MASTER_PLANES) {
      return get(planes.get(MASTER_PLANES), i) * TellingSettings.cancelling(settings);
    }
    int bits = Master.bits(planes.get(0).getAtIndex(I16, i), planes.get(1).getAtIndex(I16, i));
    return -Float.intBitsToFloat(bits) * settings.get(RuleSettings.WEIGHT_DECAY);
  }

  private static short half(float value, SplittableRandom random) {
    short half = Float.floatToFloat16(value);
    return Float.isFinite(Float.float16ToFloat(half)) ? half : (short) (random.nextInt() & 0x83FF);
  }

  private float gradient(SplittableRandom random, Kind kind, double near, int i) {
    if (kind == Kind.ORDINARY || (kind == Kind.ANY && random.nextBoolean())) {
      return rule.hasBlocks() ? numberOfBlock(random, kind, i) : number(random, kind);
    }
    int bits = Float.floatToRawIntBits((float) near);
    float moved = Float.intBitsToFloat(bits + random.nextInt(-4, 5));
    return Float.isFinite(moved) ? moved : 0f;
  }
}
