package dev.lionstore.kernel.vector;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.SquareSum;
import dev.lionstore.kernel.TensorLook;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.kernel.Undo;
import dev.lionstore.rule.UpdateRule;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * Steps a tensor of its own with every rounding and gradient type, with undo and without, in turn,
 * so that the compiler sees all of it at once and has no reason to begin again.
 */
final class WarmUp {
  private static final int ELEMENTS = 4 * Kernel.MAX_SLICE;

  /** Far more than compiled code takes, and far less than any other. */
  private static final double FAST_NANOS_PER_ELEMENT = 6;

  private static final int FAST_ROUNDS = 3;
  private static final long MOST_NANOS = 60_000_000_000L;

  private final Kernel.Stepper stepper;
  private final SquareSum squares;
  private final TensorLook look;
  private final double[] totals;
  private final List<TensorStep> steps = new ArrayList<>();
  private final Undo undo;

  private WarmUp(Kernel kernel, Arena arena) {
    UpdateRule rule = kernel.rule();
    stepper = kernel.newStepper();
    squares = kernel.newSquareSum();
    look = kernel.newLook();
    totals = new double[rule.looks()];
    List<MemorySegment> memory =
        rule.allPlanes().stream()
            .map(plane -> arena.allocate(plane.type().bytes(ELEMENTS), Long.SIZE))
            .toList();
    for (ElementType type : ElementType.values()) {
      MemorySegment data = arena.allocate((long) ELEMENTS * type.bytes(), Long.SIZE);
      for (Rounding rounding : Rounding.values()) {
        steps.add(
            new TensorStep(
                memory,
                new GradientValues(type, data),
                rule.coefficients(rule.defaults(), 1, 1),
                rounding,
                1));
      }
    }
    undo = new Undo(arena.allocate(Long.SIZE + Undo.bytes(rule), Long.SIZE), 0, Long.SIZE);
  }

  /** Returns when all of it is compiled. */
  static void run(Kernel kernel) {
    try (Arena arena = Arena.ofShared()) {
      new WarmUp(kernel, arena).run();
    }
  }

  private void run() {
    long begin = System.nanoTime();
    for (int fast = 0; fast < FAST_ROUNDS && System.nanoTime() - begin < MOST_NANOS; ) {
      long start = System.nanoTime();
      for (TensorStep step : steps) {
        round(step);
      }
      double nanos = System.nanoTime() - start;
      fast = nanos < FAST_NANOS_PER_ELEMENT * 3 * ELEMENTS * steps.size() ? fast + 1 : 0;
    }
  }

  private void round(TensorStep step) {
    undo.begin(0, 0);
    for (int at = 0; at < ELEMENTS; at += Kernel.MAX_SLICE) {
      stepper.apply(step, at, Kernel.MAX_SLICE);
      stepper.apply(step, at, Kernel.MAX_SLICE, undo);
    }
    for (int pass = 0; pass < step.rule().lookPasses().size(); pass++) {
      look.of(step, pass, 0, ELEMENTS, totals, 0);
    }
    if (!(squares.of(step.gradient(), 0, ELEMENTS) >= 0)) {
      throw new IllegalStateException("a sum of squares is negative");
    }
  }
}
