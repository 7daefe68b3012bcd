package dev.lionstore.kernel.vector;

import dev.lionstore.Rounding;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.rule.AdamW.AdamWCoefficients;
import dev.lionstore.rule.Plane;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * The AdamW step of {@code core/ARITHMETIC.md} in vectors: short loops over pieces that stay in the
 * first cache, since C2 boxes what a long one passes to methods. Whole vectors are computed at a
 * tensor's end: the padding's zeros stay zeros.
 */
final class VectorAdamW implements Kernel.Stepper {
  private static final int PIECE = Kernel.MAX_SLICE;

  private final float[] gradient = new float[PIECE];
  private final float[] momentum = new float[PIECE];
  private final float[] secondMoment = new float[PIECE];
  private final float[] master = new float[PIECE];
  private final Random16 random16 = new Random16();
  private final GradientSlice slice = new GradientSlice();
  private final GradientNorm norm = new GradientNorm();
  private final Plane.Type type;

  /**
   * A stepper.
   *
   * @param type how moments are stored
   */
  VectorAdamW(Plane.Type type) {
    this.type = type;
  }

  @Override
  public double sumOfSquares(GradientValues values, long from, int count) {
    return norm.sumOfSquares(values, from, count);
  }

  @Override
  public void apply(TensorStep tensor, long from, int count) {
    AdamWCoefficients k = (AdamWCoefficients) tensor.coefficients();
    int padded = Random16.padded(count);
    slice.set(tensor.gradient(), from, count, padded);
    Lanes.widen(slice, gradient, padded);
    long weights = Lanes.address(tensor.planes().get(0), 2 * from, 2L * padded);
    long remainder = Lanes.address(tensor.planes().get(1), 2 * from, 2L * padded);
    Lanes.joinMaster(weights, remainder, master, padded);
    load(moment(tensor, 0, from, padded), momentum, padded);
    load(moment(tensor, 1, from, padded), secondMoment, padded);

    moments(gradient, momentum, secondMoment, padded, k);
    masters(master, momentum, secondMoment, padded, k);

    Lanes.splitMaster(master, weights, remainder, padded);
    store(tensor, 0, momentum, from, padded);
    store(tensor, 1, secondMoment, from, padded);
  }

  /** Where a moment's values are. */
  private long moment(TensorStep tensor, int statePlane, long from, int count) {
    int bytes = type.bytes();
    MemorySegment plane = tensor.planes().get(Plane.MASTER.size() + statePlane);
    return Lanes.address(plane, from * bytes, (long) count * bytes);
  }

  private void load(long moment, float[] to, int count) {
    if (type == Plane.Type.F32) {
      Lanes.widenF32(moment, to, count);
    } else {
      Lanes.widenBf16(moment, to, count);
    }
  }

  private void store(TensorStep tensor, int statePlane, float[] values, long from, int count) {
    long moment = moment(tensor, statePlane, from, count);
    if (type == Plane.Type.F32) {
      Lanes.storeF32(values, moment, count);
    } else if (tensor.rounding() == Rounding.STOCHASTIC) {
      random16.fill(tensor, statePlane, from, count);
      Lanes.roundStochastic(values, random16.address(), moment, count);
    } else {
      Lanes.roundNearest(values, moment, count);
    }
  }

  /** What is in the arrays becomes the next moments; the gradient is scaled. */
  private static void moments(
      float[] gradient, float[] momentum, float[] secondMoment, int count, AdamWCoefficients k) {
    FloatVector scale = FloatVector.broadcast(Lanes.F32, k.gradientScale());
    FloatVector share = FloatVector.broadcast(Lanes.F32, k.share());
    FloatVector o2 = FloatVector.broadcast(Lanes.F32, k.o2());
    FloatVector b2 = FloatVector.broadcast(Lanes.F32, k.b2());
    int little = k.movesLittle() ? -1 : 0;
    for (int i = 0; i < count; i += Lanes.COUNT) {
      FloatVector g = FloatVector.fromArray(Lanes.F32, gradient, i).mul(scale);
      FloatVector m = FloatVector.fromArray(Lanes.F32, momentum, i);
      FloatVector v = FloatVector.fromArray(Lanes.F32, secondMoment, i);
      FloatVector way = g.sub(m).min(Float.MAX_VALUE).max(-Float.MAX_VALUE);
      FloatVector base =
          m.reinterpretAsInts()
              .and(little)
              .or(g.reinterpretAsInts().and(~little))
              .reinterpretAsFloats();
      share.fma(way, base).intoArray(momentum, i);
      o2.mul(g).fma(g, v.mul(b2)).min(Float.MAX_VALUE).intoArray(secondMoment, i);
    }
  }

  private static void masters(
      float[] master, float[] momentum, float[] secondMoment, int count, AdamWCoefficients k) {
    FloatVector root = FloatVector.broadcast(Lanes.F32, k.root());
    FloatVector eps = FloatVector.broadcast(Lanes.F32, k.eps());
    FloatVector step = FloatVector.broadcast(Lanes.F32, k.step());
    FloatVector decay = FloatVector.broadcast(Lanes.F32, k.decay());
    for (int i = 0; i < count; i += Lanes.COUNT) {
      FloatVector theta = FloatVector.fromArray(Lanes.F32, master, i);
      FloatVector m = FloatVector.fromArray(Lanes.F32, momentum, i);
      FloatVector v = FloatVector.fromArray(Lanes.F32, secondMoment, i);
      FloatVector denominator = v.lanewise(VectorOperators.SQRT).div(root).add(eps);
      theta.mul(decay).add(step.mul(m).div(denominator)).intoArray(master, i);
    }
  }
}
