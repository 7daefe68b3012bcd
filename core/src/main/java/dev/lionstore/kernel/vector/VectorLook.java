package dev.lionstore.kernel.vector;

import dev.lionstore.Rounding;
import dev.lionstore.formula.Reduction;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.TensorLook;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.rule.Look;
import dev.lionstore.rule.UpdateRule;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Looks by a rule's loops, which leave what is looked at as floats; they are added up as squares of
 * a gradient are (see {@link VectorSquareSum}).
 */
final class VectorLook implements TensorLook {
  private static final VectorSpecies<Double> F64 = DoubleVector.SPECIES_PREFERRED;
  private static final int PIECE = Kernel.MAX_SLICE;

  private final UpdateRule rule;
  private final Loop[] loops;
  private final VectorSlice slice;
  private final MemorySegment elements;
  private final float[] floats = new float[PIECE];
  private final double[] doubles = new double[PIECE];
  private final double[][] partial;

  VectorLook(UpdateRule rule) {
    this(
        rule,
        IntStream.range(0, rule.lookPasses().size())
            .mapToObj(pass -> Loops.ofLook(rule.decoded(), pass))
            .toArray(Loop[]::new));
  }

  /** With other loops, one for each pass. */
  VectorLook(UpdateRule rule, Loop[] loops) {
    this.rule = rule;
    this.loops = loops;
    this.slice = new VectorSlice(rule);
    this.elements = Random16.scratch(Math.max(1, rule.looks()) * PIECE * Float.BYTES);
    this.partial = new double[rule.looks()][LANES];
  }

  @Override
  public void of(TensorStep tensor, int pass, long from, int count, double[] totals, int at) {
    List<Look> looks = rule.lookPasses().get(pass).looks();
    for (int look = 0; look < looks.size(); look++) {
      Arrays.fill(partial[look], looks.get(look).reduction().none());
    }
    for (int done = 0; done < count; done += PIECE) {
      add(tensor, pass, from + done, Math.min(PIECE, count - done));
    }
    for (int look = 0; look < looks.size(); look++) {
      Reduction reduction = looks.get(look).reduction();
      double total = reduction.none();
      for (double part : partial[look]) {
        total = reduction.joined(total, part);
      }
      totals[at + look] = total;
    }
  }

  private void add(TensorStep tensor, int pass, long from, int count) {
    int padded = Random16.padded(count);
    LoopArguments a = slice.set(tensor, from, count, padded, Rounding.NEAREST);
    List<Look> looks = rule.lookPasses().get(pass).looks();
    for (int look = 0; look < looks.size(); look++) {
      a.looks[look] = elements.address() + offset(look);
    }
    loops[pass].step(a);
    for (int look = 0; look < looks.size(); look++) {
      add(looks.get(look).reduction(), look, count, padded);
    }
  }

  private static long offset(int look) {
    return (long) look * PIECE * Float.BYTES;
  }

  private void add(Reduction reduction, int look, int count, int padded) {
    MemorySegment.copy(elements, ValueLayout.JAVA_FLOAT, offset(look), floats, 0, count);
    widenElements(floats, doubles, count);
    Arrays.fill(doubles, count, padded, reduction.none()); // the padding is no element
    double[] its = partial[look];
    for (int lane = 0; lane < LANES; lane += F64.length()) {
      switch (reduction) {
        case SUM, MEAN -> addElements(doubles, lane, padded, its);
        case NORM -> addSquares(doubles, lane, padded, its);
        case MAX -> addLargest(doubles, lane, padded, its);
      }
    }
  }

  /** Vectors of half as many floats would be a second shape (see {@link Lanes}). */
  private static void widenElements(float[] from, double[] to, int count) {
    for (int i = 0; i < count; i++) {
      to[i] = from[i];
    }
  }

  private static void addElements(double[] values, int lane, int count, double[] partial) {
    DoubleVector sum = DoubleVector.fromArray(F64, partial, lane);
    for (int i = lane; i < count; i += LANES) {
      sum = sum.add(DoubleVector.fromArray(F64, values, i));
    }
    sum.intoArray(partial, lane);
  }

  private static void addSquares(double[] values, int lane, int count, double[] partial) {
    DoubleVector sum = DoubleVector.fromArray(F64, partial, lane);
    for (int i = lane; i < count; i += LANES) {
      DoubleVector value = DoubleVector.fromArray(F64, values, i);
      sum = value.mul(value).add(sum);
    }
    sum.intoArray(partial, lane);
  }

  private static void addLargest(double[] values, int lane, int count, double[] partial) {
    DoubleVector largest = DoubleVector.fromArray(F64, partial, lane);
    for (int i = lane; i < count; i += LANES) {
      DoubleVector value = DoubleVector.fromArray(F64, values, i);
      largest = largest.blend(value, value.compare(VectorOperators.GT, largest));
    }
    largest.intoArray(partial, lane);
  }
}
