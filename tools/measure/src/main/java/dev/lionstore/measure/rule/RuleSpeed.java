package dev.lionstore.measure.rule;

import com.sun.management.ThreadMXBean;
import dev.lionstore.ElementType;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.TensorLook;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.measure.timing.InterleavedTimes;
import dev.lionstore.measure.timing.PairedTimes;
import dev.lionstore.measure.timing.TimedTask;
import dev.lionstore.measure.timing.Warming;
import dev.lionstore.measure.workload.Samples;
import dev.lionstore.rule.Master;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.RuleSettings;
import dev.lionstore.rule.UpdateRule;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * A kernel's speed in one thread, in pairs with the roof: what reads the planes and the gradient of
 * the same parameters and writes the planes, by the JDK's copy routine, and computes nothing.
 *
 * @param nanosPerParameter the median
 * @param gigabytesPerSecond read and written
 * @param roofGigabytesPerSecond the same bytes, copied
 * @param shareOfRoof the median of the pairs
 * @param allocatedBytesPerStep on the heap, by a step of all parameters
 */
public record RuleSpeed(
    double nanosPerParameter,
    double gigabytesPerSecond,
    double roofGigabytesPerSecond,
    double shareOfRoof,
    long allocatedBytesPerStep) {
  private static final int CHUNK = 1 << 16;
  private static final int PAGE_BYTES = 4096;

  /** What is copied at once: the best is the roof. */
  private static final List<Integer> PIECE_BYTES = List.of(1024, 4096, 16384);

  private static final int ROOF_TRIES = 5;
  private static final int LEAST_PAIRS = 5;
  private static final int MOST_PAIRS = 41;
  private static final Duration TIME = Duration.ofSeconds(3);
  private static final Duration WARM_UP = Duration.ofMillis(300);
  private static final long NOISE_KEY = 1;

  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  /**
   * Measures.
   *
   * @param kernel of the CPU
   * @param rounding of bf16 state
   * @param parameters how many; rounded up to whole chunks
   */
  public static RuleSpeed measure(
      Kernel kernel, RuleSettings settings, Rounding rounding, long parameters)
      throws IOException, InterruptedException {
    UpdateRule rule = settings.rule();
    long count = (parameters + CHUNK - 1) / CHUNK * CHUNK;
    try (Arena arena = Arena.ofConfined()) {
      List<MemorySegment> planes = planes(arena, rule, count);
      MemorySegment gradient = staggered(arena, planes.size(), count * Short.BYTES);
      Samples.fillGradient(ElementType.BF16, gradient, 3);
      double[] hyperparameters =
          settings.hyperparameters(
              settings.get(RuleSettings.LEARNING_RATE), ParameterGroup.ofDefaults());
      TensorStep step =
          new TensorStep(
              planes,
              new GradientValues(ElementType.BF16, gradient),
              rule.coefficients(hyperparameters, 1, 1),
              rounding,
              NOISE_KEY);
      Sweep sweep = new Sweep(kernel.newLook(), kernel.newStepper(), new double[rule.looks()]);
      TimedTask small = TimedTask.of("few", () -> sweep.run(step, CHUNK));
      TimedTask task = TimedTask.of("kernel", () -> sweep.run(step, count));
      List<TimedTask> roofs = new ArrayList<>();
      for (int bytes : PIECE_BYTES) {
        MemorySegment piece = arena.allocate(bytes, PAGE_BYTES);
        roofs.add(TimedTask.of("roof", () -> copy(planes, gradient, piece)));
      }
      Warming.compile(List.of(small));
      Warming.up(WARM_UP, List.of(task));
      TimedTask roof = roofs.get(InterleavedTimes.measure(roofs, ROOF_TRIES).best(roofs.size()));
      PairedTimes times = PairedTimes.measure(roof, task, LEAST_PAIRS, MOST_PAIRS, TIME);
      double bytes = bytes(planes, gradient);
      return new RuleSpeed(
          (double) times.medianNanos() / count,
          bytes / times.medianNanos(),
          bytes / times.medianRoofNanos(),
          times.share(0.5),
          allocated(task));
    }
  }

  private static long allocated(TimedTask task) throws IOException, InterruptedException {
    long least = Long.MAX_VALUE;
    for (int i = 0; i < 3; i++) {
      long before = THREADS.getCurrentThreadAllocatedBytes();
      task.pass().run();
      least = Math.min(least, THREADS.getCurrentThreadAllocatedBytes() - before);
    }
    return least;
  }

  private static double bytes(List<MemorySegment> planes, MemorySegment gradient) {
    return 2.0 * planes.stream().mapToLong(MemorySegment::byteSize).sum() + gradient.byteSize();
  }

  private static List<MemorySegment> planes(Arena arena, UpdateRule rule, long count) {
    List<MemorySegment> planes = new ArrayList<>();
    List<Plane> all = new ArrayList<>(Plane.MASTER);
    all.addAll(rule.statePlanes());
    for (Plane plane : all) {
      planes.add(staggered(arena, planes.size(), plane.type().bytes(count)));
    }
    MemorySegment masters = arena.allocate(Float.BYTES * (long) CHUNK, PAGE_BYTES);
    Samples.fillGradient(ElementType.F32, masters, 1);
    for (long i = 0; i < count; i++) {
      int bits = masters.getAtIndex(ValueLayout.JAVA_INT, i % CHUNK);
      planes.get(0).setAtIndex(ValueLayout.JAVA_SHORT, i, Master.weights(bits));
      planes.get(1).setAtIndex(ValueLayout.JAVA_SHORT, i, Master.remainder(bits));
    }
    return planes;
  }

  /** Where values of one element share no cache set, as in a store. */
  private static MemorySegment staggered(Arena arena, int plane, long bytes) {
    long offset = plane * 512L % PAGE_BYTES;
    return arena.allocate(bytes + PAGE_BYTES, PAGE_BYTES).asSlice(offset, bytes);
  }

  /** A step of a tensor: what its rule looks at, then all elements. */
  private record Sweep(TensorLook look, Kernel.Stepper stepper, double[] totals) {
    void run(TensorStep step, long count) {
      for (int pass = 0; pass < step.rule().lookPasses().size(); pass++) {
        for (long at = 0; at < count; at += TensorLook.BLOCK) {
          int length = (int) Math.min(TensorLook.BLOCK, count - at);
          look.of(step, pass, at, length, totals, 0);
        }
      }
      for (long at = 0; at < count; at += Kernel.MAX_SLICE) {
        stepper.apply(step, at, (int) Math.min(Kernel.MAX_SLICE, count - at));
      }
    }
  }

  /** A piece of each stream after the other; the piece between stays in the first-level cache. */
  private static void copy(
      List<MemorySegment> planes, MemorySegment gradient, MemorySegment piece) {
    long shortest = gradient.byteSize();
    long bytes = piece.byteSize();
    for (long at = 0; at < shortest; at += bytes) {
      MemorySegment.copy(gradient, at, piece, 0, bytes);
      for (MemorySegment plane : planes) {
        long times = plane.byteSize() / shortest;
        for (long part = times * at; part < times * (at + bytes); part += bytes) {
          MemorySegment.copy(plane, part, piece, 0, bytes);
          MemorySegment.copy(piece, 0, plane, part, bytes);
        }
      }
    }
  }
}
