package dev.lionstore.benchmarks;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import dev.lionstore.bench.Planes;
import dev.lionstore.bench.Sweep;
import dev.lionstore.kernel.GradientConversion;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.kernel.Undo;
import dev.lionstore.rule.AdamW;
import dev.lionstore.rule.Lion;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.function.Supplier;
import java.util.stream.Stream;

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
      every.addFor(Planes.anonymous(parameters, type));
    }
    Collections.shuffle(every.loops, new Random(seed));
    return every.loops;
  }

  private void addFor(Planes planes) {
    GradientValues gradient = planes.gradient();
    Kernel lion = kernel(Lion.RULE);
    addConversions(gradient);
    add("norm of " + gradient.type(), () -> norm(lion.newStepper(), gradient));
    for (Rounding rounding : Rounding.values()) {
      addStep(lion, Lion.RULE, planes.step(rounding));
      for (AdamW rule : List.of(AdamW.RULE, AdamW.BF16_RULE)) {
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

  private static Sweep norm(Kernel.Stepper stepper, GradientValues gradient) {
    return (from, to) -> {
      for (long at = from; at < to; at += Kernel.NORM_BLOCK) {
        stepper.sumOfSquares(gradient, at, (int) Math.min(Kernel.NORM_BLOCK, to - at));
      }
    };
  }

  private TensorStep step(AdamW rule, Planes planes, Rounding rounding) {
    List<MemorySegment> state = new ArrayList<>(planes.state().subList(0, Plane.MASTER.size()));
    for (Plane plane : rule.statePlanes()) {
      state.add(arena.allocate((long) plane.type().bytes() * parameters, Long.BYTES));
    }
    UpdateRule.Coefficients coefficients = rule.coefficients(rule.defaults(), 1, 1);
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
    List<Plane> planes = Stream.concat(Plane.MASTER.stream(), rule.statePlanes().stream()).toList();
    add(
        name + ", saving",
        () -> {
          Kernel.Stepper stepper = kernel.newStepper();
          Undo undo = new Undo(arena.allocate(UNDO_BYTES, Long.BYTES), 0, UNITS_OFFSET, planes);
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
