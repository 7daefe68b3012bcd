package dev.lionstore.kernel.vector;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.kernel.Undo;
import dev.lionstore.rule.Bf16;
import dev.lionstore.rule.Lion.LionCoefficients;
import dev.lionstore.rule.Master;
import dev.lionstore.rule.StochasticBits;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import org.jspecify.annotations.Nullable;

/**
 * The Lion step of {@code core/ARITHMETIC.md} in vectors. A 32-bit lane holds two neighbours of a
 * 16-bit plane, the even element below the odd one: a shift or a mask makes either a float, and
 * nothing is widened or narrowed. Whole granules are computed at a tensor's end: the padding's
 * zeros stay zeros.
 */
final class VectorLion implements Kernel.Stepper {
  private static final int SIGN = 0x80000000;

  /**
   * Magnitudes stay below a limit by two comparisons of all bits: signed, a negative number is
   * below every limit; unsigned, a positive one is below every negative limit.
   */
  private static final int NEGATIVE_LARGEST = SIGN | Master.LARGEST_BITS;

  private static final int HIGH = 0xFFFF0000;
  private static final int LOW = 0xFFFF;

  /** The magnitude beyond which every random number gives {@link Bf16#LARGEST_BITS}. */
  private static final int STOCHASTIC_LIMIT = Bf16.LARGEST_BITS << 16;

  private static final int NEGATIVE_STOCHASTIC_LIMIT = SIGN | STOCHASTIC_LIMIT;

  /** The bytes of a plane in a unit of {@link Undo}, and of all three in both. */
  private static final int UNIT_BYTES = Undo.UNIT * Short.BYTES;

  private static final int UNDO_BYTES = 2 * 3 * UNIT_BYTES;

  /** A plain store would be a call where C2 has not seen it often enough to inline it. */
  private static final VarHandle WORD = ValueLayout.JAVA_LONG.varHandle().withInvokeExactBehavior();

  private final Random16 random16 = new Random16();

  /** Gradients of a slice that are not pairs of bfloat16: the even ones, then the odd ones. */
  private final MemorySegment floats = Random16.scratch(Kernel.MAX_SLICE * Float.BYTES);

  private final GradientSlice slice = new GradientSlice();
  private final GradientNorm norm = new GradientNorm();

  @Override
  public double sumOfSquares(GradientValues values, long from, int count) {
    return norm.sumOfSquares(values, from, count);
  }

  @Override
  public void apply(TensorStep tensor, long from, int count) {
    step(tensor, from, count, null);
  }

  @Override
  public void apply(TensorStep tensor, long from, int count, Undo undo) {
    step(tensor, from, count, undo);
  }

  /** Steps whole units where the gradient is, and the rest with a copy of it. */
  private void step(TensorStep tensor, long from, int count, @Nullable Undo undo) {
    int whole = tensor.gradient().data().isNative() ? count - count % Undo.UNIT : 0;
    if (whole > 0) {
      slice.set(tensor.gradient(), from, whole, whole);
      stepSlice(tensor, from, whole, undo);
    }
    if (whole < count) {
      int padded = Random16.padded(count - whole);
      slice.set(tensor.gradient(), from + whole, count - whole, padded);
      stepSlice(tensor, from + whole, padded, undo);
    }
  }

  private void stepSlice(TensorStep tensor, long from, int count, @Nullable Undo undo) {
    long bytes = 2L * count;
    boolean pairs = slice.type() == ElementType.BF16;
    if (!pairs) {
      Lanes.split(slice, floats.address(), count);
    }
    long even = pairs ? slice.address() : floats.address();
    boolean stochastic = tensor.rounding() == Rounding.STOCHASTIC;
    long counter = Random16.counter(tensor, from);
    long key = stochastic ? Random16.key(tensor, 0, counter) : 0;
    if (stochastic && !Random16.WHOLE_GRANULES) {
      random16.fill(tensor, 0, from, count);
    }
    stepPairs(
        Lanes.address(tensor.planes().get(0), 2 * from, bytes),
        Lanes.address(tensor.planes().get(1), 2 * from, bytes),
        Lanes.address(tensor.planes().get(2), 2 * from, bytes),
        even,
        pairs ? even : even + Lanes.ODD_OFFSET,
        pairs,
        stochastic ? random16.address() : 0,
        (int) counter,
        (int) key,
        (int) (key >>> 32),
        count,
        (LionCoefficients) tensor.coefficients(),
        undo == null ? 0 : Lanes.address(undo.memory(), undo.unitsOffset(), UNDO_BYTES),
        undo == null ? 0 : Lanes.address(undo.memory(), undo.wordOffset(), Long.BYTES),
        undo == null ? 0 : undo.word(from),
        (int) from & Undo.UNIT);
  }

  /**
   * One loop over everything, so that a value is loaded once. C2 stops inlining methods that are
   * not the JDK's own in a loop of this length, and boxes what it passes to them; so there are
   * none.
   *
   * @param weights where the slice is, as the other addresses
   * @param even the gradients of even elements
   * @param odd the gradients of odd elements
   * @param pairs whether these are the same pairs of bfloat16; else they are floats
   * @param random16 random bits for stochastic rounding; 0 for nearest. Where a vector has the
   *     hashes of a granule they are made here instead: other loops would leave memory idle
   * @param counter of the slice's first hash, its low bits, as {@link Random16} has it
   * @param keyLow what its hashes have in common
   * @param keyHigh likewise
   * @param count of elements, a multiple of {@link Random16#GRANULE}
   * @param undo where values are saved before they change, as {@link Undo} says; 0 for nowhere
   * @param parity {@link Undo#UNIT} if the slice's first unit is an odd one, else 0
   */
  private static void stepPairs(
      long weights,
      long remainder,
      long momentum,
      long even,
      long odd,
      boolean pairs,
      long random16,
      int counter,
      int keyLow,
      int keyHigh,
      int count,
      LionCoefficients k,
      long undo,
      long undoWord,
      long word,
      int parity) {
    FloatVector o1 = FloatVector.broadcast(Lanes.F32, k.o1());
    FloatVector o2 = FloatVector.broadcast(Lanes.F32, k.o2());
    FloatVector b1 = FloatVector.broadcast(Lanes.F32, k.b1());
    FloatVector b2 = FloatVector.broadcast(Lanes.F32, k.b2());
    FloatVector scale = FloatVector.broadcast(Lanes.F32, k.gradientScale());
    FloatVector decay = FloatVector.broadcast(Lanes.F32, k.decay());
    IntVector lr = IntVector.broadcast(Lanes.I32, Float.floatToRawIntBits(k.lr()));
    IntVector evenShift = IntVector.broadcast(Lanes.I32, pairs ? 16 : 0);
    IntVector oddMask = IntVector.broadcast(Lanes.I32, pairs ? HIGH : -1);
    for (int i = 0; i < count; i += 2 * Lanes.COUNT) {
      long at = 2L * i;
      IntVector w = IntVector.fromMemorySegment(Lanes.I32, Lanes.MEMORY, weights + at, Lanes.ORDER);
      IntVector r =
          IntVector.fromMemorySegment(Lanes.I32, Lanes.MEMORY, remainder + at, Lanes.ORDER);
      IntVector m =
          IntVector.fromMemorySegment(Lanes.I32, Lanes.MEMORY, momentum + at, Lanes.ORDER);
      if (undo != 0) {
        long to =
            undo
                + 3L * Short.BYTES * ((parity ^ i) & Undo.UNIT)
                + (long) Short.BYTES * (i & (Undo.UNIT - 1));
        w.intoMemorySegment(Lanes.MEMORY, to, Lanes.ORDER);
        r.intoMemorySegment(Lanes.MEMORY, to + UNIT_BYTES, Lanes.ORDER);
        m.intoMemorySegment(Lanes.MEMORY, to + 2 * UNIT_BYTES, Lanes.ORDER);
        WORD.setRelease(Lanes.MEMORY, undoWord, word + i + 2L * Lanes.COUNT);
        VarHandle.storeStoreFence();
      }
      FloatVector g0 =
          IntVector.fromMemorySegment(Lanes.I32, Lanes.MEMORY, even + at, Lanes.ORDER)
              .lanewise(VectorOperators.LSHL, evenShift)
              .reinterpretAsFloats()
              .mul(scale);
      FloatVector g1 =
          IntVector.fromMemorySegment(Lanes.I32, Lanes.MEMORY, odd + at, Lanes.ORDER)
              .and(oddMask)
              .reinterpretAsFloats()
              .mul(scale);
      FloatVector m0 = m.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
      FloatVector m1 = m.and(HIGH).reinterpretAsFloats();
      FloatVector c0 = g0.fma(o1, m0.mul(b1));
      FloatVector c1 = g1.fma(o1, m1.mul(b1));
      FloatVector update0 = c0.reinterpretAsInts().and(SIGN).or(lr).reinterpretAsFloats();
      FloatVector update1 = c1.reinterpretAsInts().and(SIGN).or(lr).reinterpretAsFloats();
      IntVector master0 =
          w.lanewise(VectorOperators.LSHL, 16)
              .add(r.lanewise(VectorOperators.LSHL, 16).lanewise(VectorOperators.ASHR, 16));
      IntVector master1 = w.and(HIGH).add(r.lanewise(VectorOperators.ASHR, 16));
      FloatVector theta0 = master0.reinterpretAsFloats().mul(decay);
      FloatVector theta1 = master1.reinterpretAsFloats().mul(decay);
      IntVector next0 =
          theta0
              .sub(update0, c0.compare(VectorOperators.NE, 0f))
              .reinterpretAsInts()
              .min(Master.LARGEST_BITS)
              .lanewise(VectorOperators.UMIN, NEGATIVE_LARGEST);
      IntVector next1 =
          theta1
              .sub(update1, c1.compare(VectorOperators.NE, 0f))
              .reinterpretAsInts()
              .min(Master.LARGEST_BITS)
              .lanewise(VectorOperators.UMIN, NEGATIVE_LARGEST);
      next0
          .add(0x8000)
          .lanewise(VectorOperators.LSHR, 16)
          .or(next1.add(0x8000).and(HIGH))
          .intoMemorySegment(Lanes.MEMORY, weights + at, Lanes.ORDER);
      next0
          .and(LOW)
          .or(next1.lanewise(VectorOperators.LSHL, 16))
          .intoMemorySegment(Lanes.MEMORY, remainder + at, Lanes.ORDER);
      IntVector moment0 = g0.fma(o2, m0.mul(b2)).reinterpretAsInts();
      IntVector moment1 = g1.fma(o2, m1.mul(b2)).reinterpretAsInts();
      if (random16 != 0) {
        IntVector random;
        if (Random16.WHOLE_GRANULES) {
          random =
              IntVector.fromArray(Lanes.I32, Random16.PRODUCTS, 0)
                  .add((counter + i / 2) * StochasticBits.GOLDEN_32 + keyLow)
                  .lanewise(VectorOperators.XOR, keyHigh);
          random =
              random
                  .lanewise(VectorOperators.XOR, random.lanewise(VectorOperators.LSHR, 16))
                  .mul(StochasticBits.FMIX_1);
          random =
              random
                  .lanewise(VectorOperators.XOR, random.lanewise(VectorOperators.LSHR, 13))
                  .mul(StochasticBits.FMIX_2);
          random =
              random
                  .lanewise(VectorOperators.XOR, random.lanewise(VectorOperators.LSHR, 16))
                  .reinterpretAsShorts()
                  .rearrange(Random16.LOW_THEN_HIGH)
                  .reinterpretAsInts();
        } else {
          random = IntVector.fromMemorySegment(Lanes.I32, Lanes.MEMORY, random16 + at, Lanes.ORDER);
        }
        IntVector sum0 =
            moment0
                .min(STOCHASTIC_LIMIT)
                .lanewise(VectorOperators.UMIN, NEGATIVE_STOCHASTIC_LIMIT)
                .add(random.and(LOW));
        IntVector sum1 =
            moment1
                .min(STOCHASTIC_LIMIT)
                .lanewise(VectorOperators.UMIN, NEGATIVE_STOCHASTIC_LIMIT)
                .add(random.lanewise(VectorOperators.LSHR, 16));
        sum0.lanewise(VectorOperators.LSHR, 16)
            .or(sum1.and(HIGH))
            .intoMemorySegment(Lanes.MEMORY, momentum + at, Lanes.ORDER);
      } else {
        IntVector limited0 =
            moment0.min(Master.LARGEST_BITS).lanewise(VectorOperators.UMIN, NEGATIVE_LARGEST);
        IntVector limited1 =
            moment1.min(Master.LARGEST_BITS).lanewise(VectorOperators.UMIN, NEGATIVE_LARGEST);
        IntVector sum0 =
            limited0.lanewise(VectorOperators.LSHR, 16).and(1).add(0x7FFF).add(limited0);
        IntVector sum1 =
            limited1.lanewise(VectorOperators.LSHR, 16).and(1).add(0x7FFF).add(limited1);
        sum0.lanewise(VectorOperators.LSHR, 16)
            .or(sum1.and(HIGH))
            .intoMemorySegment(Lanes.MEMORY, momentum + at, Lanes.ORDER);
      }
    }
  }
}
