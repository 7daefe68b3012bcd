package dev.lionstore.measure.disk;

import dev.lionstore.ElementType;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.measure.timing.InterleavedTimes;
import dev.lionstore.measure.timing.PairedTimes;
import dev.lionstore.measure.timing.Proc;
import dev.lionstore.measure.timing.TimedTask;
import dev.lionstore.measure.workload.BenchmarkStore;
import dev.lionstore.measure.workload.Samples;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StepRequest;
import dev.lionstore.store.StepResult;
import java.io.IOException;
import java.io.PrintWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Steps a store on a disk with gradients made up, each step beside a pass that moves the same bytes
 * and computes nothing.
 */
final class DiskStepBenchmark {
  private static final Path MEMORY = Path.of("/proc/meminfo");
  private static final StepRequest REQUEST =
      StepRequest.of(UpdateRules.LION.settings().with("weight_decay", 0.1), 1e-5);

  private final PrintWriter out;
  private final StateStore store;
  private final GradientValues gradients;

  DiskStepBenchmark(PrintWriter out, StateStore store, Arena arena) {
    this.out = out;
    this.store = store;
    ElementType type = BenchmarkStore.gradientType(store.layout().gradientPlane());
    long most = store.layout().tensors().stream().mapToLong(TensorSpec::count).max().orElse(0);
    MemorySegment values = arena.allocate(most * type.bytes(), Long.BYTES);
    Samples.fillGradient(type, values, 1);
    this.gradients = new GradientValues(type, values);
  }

  /** Measures steps, and beside them passes of so many threads each. */
  void measure(int steps, List<Integer> threads) throws IOException, InterruptedException {
    Path directory = store.directory();
    List<Path> state =
        store.layout().planes().stream().map(plane -> file(directory, plane)).toList();
    List<Path> kept = Stream.of(directory.resolve("gradient.plane")).filter(Files::exists).toList();
    long stepBytes = MixedDisk.bytes(state, kept);
    out.printf(
        Locale.ROOT,
        "%,d parameters, %.1f GB of planes; backend %s%n",
        store.layout().tensors().stream().mapToLong(TensorSpec::count).sum(),
        (stepBytes / 2.0 + MixedDisk.bytes(List.of(), kept) / 2.0) / SnapshotFigures.GIGA,
        store.selection().reason());
    try (MixedDisk disk = new MixedDisk(state, kept)) {
      List<TimedTask> tasks = new ArrayList<>();
      for (int t : threads) {
        tasks.add(
            TimedTask.of("disk, read and written, %d threads".formatted(t), () -> disk.pass(t)));
      }
      List<Long> putting = new ArrayList<>();
      tasks.add(new TimedTask("step", () -> putting.add(put()), this::step));
      long cached = Proc.bytesTold(MEMORY, "Cached:");
      if (!threads.isEmpty()) {
        disk.pass(threads.getFirst()); // unmeasured: it drops the pages that an import leaves
      }
      InterleavedTimes times = InterleavedTimes.measure(tasks, steps);
      int best = threads.isEmpty() ? 0 : times.best(threads.size()); // the step beside itself
      out.printf(
          "%n| what | share of the disk | low … high | seconds | GB/s |%n|---|---|---|---|---|%n");
      for (PairedTimes c : times.compare(best, 0, tasks.size())) {
        out.printf(
            Locale.ROOT,
            "| %s | %.3f | %.3f … %.3f | %.2f | %.2f |%n",
            c.name(),
            c.share(SnapshotFigures.MIDDLE),
            c.share(SnapshotFigures.LOW),
            c.share(SnapshotFigures.HIGH),
            c.medianNanos() / SnapshotFigures.GIGA,
            (double) stepBytes / c.medianNanos());
      }
      long put = InterleavedTimes.median(putting.stream().mapToLong(Long::longValue).toArray());
      out.printf(
          Locale.ROOT,
          "%nputting the gradients: %.2f s; at step %d; memory that no file backs %.0f MB, page"
              + " cache %+.2f GB%n",
          put / SnapshotFigures.GIGA,
          store.step(),
          Proc.bytesTold(PeakUse.STATUS, "RssAnon:") / 1e6,
          (Proc.bytesTold(MEMORY, "Cached:") - cached) / SnapshotFigures.GIGA);
    }
  }

  private static Path file(Path directory, Plane plane) {
    return directory.resolve(plane.name() + ".plane");
  }

  /** Gives the time that it took, in nanoseconds. */
  private long put() {
    long start = System.nanoTime();
    Map<Integer, GradientValues> all = new HashMap<>();
    for (int t = 0; t < store.layout().tensors().size(); t++) {
      TensorSpec tensor = store.layout().tensors().get(t);
      if (tensor.trainable()) {
        long bytes = tensor.count() * gradients.type().bytes();
        all.put(t, new GradientValues(gradients.type(), gradients.data().asSlice(0, bytes)));
      }
    }
    store.gradients().putAll(all);
    return System.nanoTime() - start;
  }

  private void step() throws IOException {
    if (!(store.step(REQUEST) instanceof StepResult.Applied)) {
      throw new IOException("the step was refused");
    }
  }
}
