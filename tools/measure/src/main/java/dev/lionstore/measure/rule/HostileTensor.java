package dev.lionstore.measure.rule;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.rule.Bf16;
import dev.lionstore.rule.BlockCode;
import dev.lionstore.rule.Coefficients;
import dev.lionstore.rule.Master;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;

/**
 * A tensor of any rule with values that break a careless kernel: subnormals, extremes, zeros of
 * both signs, near cancellation. Every finite value can come.
 */
final class HostileTensor {
  static final long NOISE_KEY = 0xbb158ce5bae6963aL;

  private static final ValueLayout.OfShort I16 = ValueLayout.JAVA_SHORT;
  private static final ValueLayout.OfInt I32 = ValueLayout.JAVA_INT;

  private final List<Plane> states;
  private final List<MemorySegment> planes;
  private final GradientValues gradient;

  private HostileTensor(List<Plane> states, List<MemorySegment> planes, GradientValues gradient) {
    this.states = states;
    this.planes = planes;
    this.gradient = gradient;
  }

  /** Makes one, the same for the same seed. */
  static HostileTensor of(Arena arena, UpdateRule rule, ElementType type, int count, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    long padded = (count + Kernel.ALIGNMENT - 1) / Kernel.ALIGNMENT * (long) Kernel.ALIGNMENT;
    List<MemorySegment> planes =
        Stream.concat(Plane.MASTER.stream(), rule.statePlanes().stream())
            .map(plane -> arena.allocate(plane.type().bytes(padded), Kernel.ALIGNMENT))
            .toList();
    MemorySegment data = arena.allocate((long) count * type.bytes(), Kernel.ALIGNMENT);
    HostileTensor tensor =
        new HostileTensor(rule.statePlanes(), planes, new GradientValues(type, data));
    for (int i = 0; i < count; i++) {
      tensor.fill(i, random);
    }
    tensor.fillBlocks(random);
    return tensor;
  }

  private void fillBlocks(SplittableRandom random) {
    int[] bits = new int[BlockCode.VALUES];
    for (int p = 0; p < states.size(); p++) {
      if (states.get(p).type().isBlocks()) {
        BlockCode code = new BlockCode(states.get(p).type());
        for (int from = 0; from < count(); from += BlockCode.VALUES) {
          for (int i = 0; i < BlockCode.VALUES; i++) {
            bits[i] = from + i < count() ? Float.floatToRawIntBits(anyFinite(random)) : 0;
          }
          MemorySegment plane = planes.get(Plane.MASTER.size() + p);
          code.encode(bits, plane, from, Rounding.NEAREST, bits);
        }
      }
    }
  }

  private void fill(int i, SplittableRandom random) {
    float master = anyFinite(random);
    setMaster(i, Float.floatToRawIntBits(Master.holds(master) ? master : 1f));
    float first = 0;
    boolean isAnySign = random.nextInt(4) == 0;
    for (int p = 0; p < states.size(); p++) {
      float value = anyFinite(random);
      boolean isSigned = states.get(p).name().matches(".*(momentum|gradient).*");
      float own = isSigned || isAnySign ? value : Math.abs(value);
      setState(p, i, Float.floatToRawIntBits(own));
      first = p == 0 ? own : first;
    }
    setGradient(i, gradient(random, first));
  }

  /** Any finite float: uniform over bit patterns, so that subnormals and extremes are frequent. */
  static float anyFinite(SplittableRandom random) {
    float value = Float.intBitsToFloat(random.nextInt());
    return Float.isFinite(value) ? value : random.nextBoolean() ? 0f : -0f;
  }

  /** Any, or one that nearly cancels a momentum of the usual beta. */
  private static float gradient(SplittableRandom random, float momentum) {
    float near = -momentum * (0.9f / (float) (1 - 0.9));
    float moved = Float.intBitsToFloat(Float.floatToRawIntBits(near) + random.nextInt(-3, 4));
    return random.nextBoolean() && Float.isFinite(moved) ? moved : anyFinite(random);
  }

  private void setMaster(int i, int bits) {
    planes.get(0).setAtIndex(I16, i, Master.weights(bits));
    planes.get(1).setAtIndex(I16, i, Master.remainder(bits));
  }

  private void setState(int p, int i, int bits) {
    MemorySegment plane = planes.get(Plane.MASTER.size() + p);
    switch (states.get(p).type()) {
      case F32 -> plane.setAtIndex(I32, i, bits);
      case BF16, I16 -> plane.setAtIndex(I16, i, (short) (bits >>> 16));
      case I8, U8 -> {
        // Block by block, when all else is there.
      }
    }
  }

  private void setGradient(int i, float value) {
    switch (gradient.type()) {
      case F32 -> gradient.data().setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
      case BF16 ->
          gradient.data().setAtIndex(I16, i, (short) (Float.floatToRawIntBits(value) >>> 16));
      case F16 -> {
        short half = Float.floatToFloat16(value);
        boolean isFinite = Float.isFinite(Float.float16ToFloat(half));
        short any = (short) (Float.floatToRawIntBits(value) & 0x83FF);
        gradient.data().setAtIndex(I16, i, isFinite ? half : any);
      }
    }
  }

  /** The same in memory of its own. */
  HostileTensor copy(Arena arena) {
    List<MemorySegment> copies = new ArrayList<>();
    for (MemorySegment plane : planes) {
      copies.add(arena.allocate(plane.byteSize(), Kernel.ALIGNMENT).copyFrom(plane));
    }
    return new HostileTensor(states, copies, gradient);
  }

  int count() {
    return (int) gradient.count();
  }

  List<MemorySegment> planes() {
    return planes;
  }

  TensorStep step(Coefficients coefficients, Rounding rounding) {
    return new TensorStep(planes, gradient, coefficients, rounding, NOISE_KEY);
  }

  float gradient(int i) {
    return gradient.get(i);
  }

  /** The bits of an element, as the interpreter takes them. */
  int[] state(int i) {
    int[] state = new int[1 + states.size()];
    state[0] = Master.bits(planes.get(0).getAtIndex(I16, i), planes.get(1).getAtIndex(I16, i));
    for (int p = 0; p < states.size(); p++) {
      MemorySegment plane = planes.get(Plane.MASTER.size() + p);
      state[1 + p] =
          switch (states.get(p).type()) {
            case F32 -> plane.getAtIndex(I32, i);
            case BF16, I16 -> plane.getAtIndex(I16, i);
            case I8, U8 ->
                Float.floatToRawIntBits(new BlockCode(states.get(p).type()).value(plane, i));
          };
    }
    return state;
  }

  /** The first element from one on in which another tensor has other bits; -1 if none has. */
  int mismatch(HostileTensor other, int from) {
    int first = Integer.MAX_VALUE;
    for (int p = 0; p < planes.size(); p++) {
      Plane.Type type =
          p < Plane.MASTER.size()
              ? Plane.MASTER.get(p).type()
              : states.get(p - Plane.MASTER.size()).type();
      long begin = type.bytes(from);
      long at = planes.get(p).asSlice(begin).mismatch(other.planes.get(p).asSlice(begin));
      long element = (begin + at) / type.blockBytes() * type.blockValues();
      first = at < 0 ? first : (int) Math.min(first, element);
    }
    return first == Integer.MAX_VALUE ? -1 : first;
  }

  /** Numbers that a person can read, and their bits. */
  static String words(UpdateRule rule, float gradient, int[] state) {
    StringBuilder words = new StringBuilder("g = " + gradient);
    words.append(", θ = ").append(Float.intBitsToFloat(state[0]));
    for (int p = 1; p < state.length; p++) {
      Plane plane = rule.statePlanes().get(p - 1);
      float value =
          plane.type() != Plane.Type.BF16
              ? Float.intBitsToFloat(state[p])
              : Bf16.toFloat((short) state[p]);
      words.append(", ").append(rule.stateSymbols().get(p - 1)).append(" = ").append(value);
    }
    return words.toString();
  }
}
