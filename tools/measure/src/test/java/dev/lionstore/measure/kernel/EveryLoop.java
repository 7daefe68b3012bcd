package dev.lionstore.measure.kernel;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.GradientConversion;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.kernel.SquareSum;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.kernel.Undo;
import dev.lionstore.measure.workload.Sweep;
import dev.lionstore.measure.workload.TensorPlanes;
import dev.lionstore.rule.Coefficients;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.function.Supplier;

/** Every loop of vectors that a store runs over its values, as passes over as many parameters. */
final class EveryLoop {
  private static final int UNDO_BYTES = 1 << 14;
  private static final int UNITS_OFFSET = 64;

  private final int parameters;
  private final Arena arena = Arena.ofAuto();
  private final List<Loop> loops = new ArrayList<>();

  /**
   * A loop.
   *
   * @param name what it computes
   * @param sweeps one for each thread
   */
  record Loop(String name, Supplier<Sweep> sweeps) {}

  private EveryLoop(int parameters) {
    this.parameters = parameters;
  }

  /** All of them, in an order of its own for each seed. */
  static List<Loop> of(int parameters, long seed) {
    EveryLoop every = new EveryLoop(parameters);
    for (ElementType type : ElementType.values()) {
      every.addFor(TensorPlanes.anonymous(parameters, type));
    }
    Collections.shuffle(every.loops, new Random(seed));
    return every.loops;
  }

  private void addFor(TensorPlanes planes) {
    GradientValues gradient = planes.gradient();
    Kernel lion = kernel(UpdateRules.LION);
    addConversions(gradient);
    add("norm of " + gradient.type(), () -> norm(lion.newSquareSum(), gradient));
    for (Rounding rounding : Rounding.values()) {
      addStep(lion, UpdateRules.LION, planes.step(rounding));
      for (String name : List.of("adamw", "adamw-bf16", "adamw-8bit")) {
        UpdateRule rule = UpdateRules.required(name);
        addStep(kernel(rule), rule, step(rule, planes, rounding));
      }
    }
  }

  private Kernel kernel(UpdateRule rule) {
    return Kernels.select("vector", rule).kernel();
  }

  private void add(String name, Supplier<Sweep> sweeps) {
    loops.add(new Loop(name, sweeps));
  }

  private void addConversions(GradientValues gradient) {
    MemorySegment floats = arena.allocate((long) Float.BYTES * parameters, Long.BYTES);
    MemorySegment halves = arena.allocate((long) Short.BYTES * parameters, Long.BYTES);
    GradientConversion conversion = Kernels.conversion();
    String type = " " + gradient.type();
    add(
        "widen" + type,
        () ->
            (from, to) ->
                conversion.widen(part(gradient, from, to), part(floats, Float.BYTES, from, to)));
    add(
        "add" + type,
        () ->
            (from, to) ->
                conversion.add(part(gradient, from, to), part(floats, Float.BYTES, from, to)));
    if (gradient.type() != ElementType.BF16) {
      add(
          "narrow" + type,
          () ->
              (from, to) ->
                  conversion.narrow(part(gradient, from, to), part(halves, Short.BYTES, from, to)));
    }
  }

  private static GradientValues part(GradientValues all, long from, long to) {
    ElementType type = all.type();
    return new GradientValues(type, part(all.data(), type.bytes(), from, to));
  }

  private static MemorySegment part(MemorySegment all, int bytes, long from, long to) {
    return all.asSlice(bytes * from, bytes * (to - from));
  }

  private static Sweep norm(SquareSum squares, GradientValues gradient) {
    return (from, to) -> {
      for (long at = from; at < to; at += SquareSum.BLOCK) {
        squares.of(gradient, at, (int) Math.min(SquareSum.BLOCK, to - at));
      }
    };
  }

  private TensorStep step(UpdateRule rule, TensorPlanes planes, Rounding rounding) {
    List<MemorySegment> state = new ArrayList<>(planes.state().subList(0, Plane.MASTER.size()));
    for (Plane plane : rule.statePlanes()) {
      state.add(arena.allocate(plane.type().bytes(parameters), Long.BYTES));
    }
    Coefficients coefficients = rule.coefficients(rule.defaults(), 1, 1);
    return new TensorStep(state, planes.gradient(), coefficients, rounding, 1);
  }

  private void addStep(Kernel kernel, UpdateRule rule, TensorStep step) {
    String name = rule.name() + " of " + step.gradient().type() + ", " + step.rounding();
    add(
        name,
        () -> {
          Kernel.Stepper stepper = kernel.newStepper();
          return slices((from, count) -> stepper.apply(step, from, count));
        });
    add(
        name + ", saving",
        () -> {
          Kernel.Stepper stepper = kernel.newStepper();
          Undo undo = new Undo(arena.allocate(UNDO_BYTES, Long.BYTES), 0, UNITS_OFFSET);
          return slices((from, count) -> stepper.apply(step, from, count, undo));
        });
  }

  private interface Slice {
    void step(long from, int count);
  }

  private static Sweep slices(Slice slice) {
    return (from, to) -> {
      for (long at = from; at < to; at += Kernel.MAX_SLICE) {
        slice.step(at, (int) Math.min(Kernel.MAX_SLICE, to - at));
      }
    };
  }
}
