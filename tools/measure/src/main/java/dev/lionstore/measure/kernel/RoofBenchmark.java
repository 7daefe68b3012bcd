package dev.lionstore.measure.kernel;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.measure.report.Labels;
import dev.lionstore.measure.roof.Roofs;
import dev.lionstore.measure.timing.PairedTimes;
import dev.lionstore.measure.timing.TimedTask;
import dev.lionstore.measure.workload.BenchmarkStore;
import dev.lionstore.measure.workload.Sweep;
import dev.lionstore.measure.workload.TensorPlanes;
import dev.lionstore.measure.workload.UndoSwitch;
import dev.lionstore.measure.workload.WorkerThreads;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.store.StoreOptions;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Measures a CPU's kernel, and with a directory the store's whole step, as a share of the roof: the
 * best loop that reads the same four streams and writes the same three in place, with the same
 * threads in the same kind of memory, interleaved with what is measured.
 */
final class RoofBenchmark {
  private static final int WARM_UP_PASSES = 5;

  /** C2 takes seconds for the vector loop, twice: the undo comes after kernels that have none. */
  private static final long WARM_UP_NANOS = 4_000_000_000L;

  private final RoofOptions options;
  private final WorkerThreads workers;
  private final TensorPlanes planes;

  private RoofBenchmark(RoofOptions options, WorkerThreads workers, TensorPlanes planes) {
    this.options = options;
    this.workers = workers;
    this.planes = planes;
  }

  static RoofReport measure(RoofOptions options) throws IOException, InterruptedException {
    try (WorkerThreads workers = new WorkerThreads(options.threads());
        TensorPlanes planes = allocate(options)) {
      return new RoofBenchmark(options, workers, planes).run();
    }
  }

  private static TensorPlanes allocate(RoofOptions options) throws IOException {
    return options.directory().isPresent()
        ? TensorPlanes.mapped(options.directory().get(), options.parameters(), ElementType.BF16)
        : TensorPlanes.anonymous(options.parameters(), ElementType.BF16);
  }

  private RoofReport run() throws IOException, InterruptedException {
    List<TimedTask> roofs = Roofs.of(workers, planes);
    Kernels.Selection selection = Kernels.select(options.backend().name(), UpdateRules.LION);
    List<TimedTask> kernels = kernels(selection.kernel());
    warmUp(roofs);
    if (!kernels.isEmpty()) {
      warmUp(kernels);
    }
    List<PairedTimes> candidates = new ArrayList<>();
    for (TimedTask roof : roofs) {
      candidates.add(PairedTimes.measure(roofs.getFirst(), roof, options.pairs()));
    }
    TimedTask best = roofs.get(indexOfBest(candidates));
    List<PairedTimes> results = new ArrayList<>();
    for (TimedTask kernel : kernels) {
      results.add(PairedTimes.measure(best, kernel, options.pairs()));
    }
    List<PairedTimes> guarded = new ArrayList<>();
    if (options.directory().isPresent()) {
      for (GradientPlane plane : List.of(GradientPlane.NONE, GradientPlane.BF16)) {
        results.addAll(stores(best, options.directory().get(), plane, guarded));
      }
    }
    return RoofReport.of(options, selection.reason(), candidates, best.name(), results, guarded);
  }

  /** A device's kernel steps stores alone. */
  private List<TimedTask> kernels(Kernel kernel) {
    List<TimedTask> kernels = new ArrayList<>();
    if (kernel.unit() == Kernel.Unit.SLICE) {
      for (Rounding rounding : Rounding.values()) {
        kernels.add(
            TimedTask.of(
                "kernel, " + Labels.of(rounding),
                workers.pass(Sweep.of(kernel, planes, rounding), planes.count())));
      }
    }
    kernel.close();
    return kernels;
  }

  /** A store's step beside the roof and, if it saves what it changes, beside one that does not. */
  private List<PairedTimes> stores(
      TimedTask roof, Path directory, GradientPlane plane, List<PairedTimes> guarded)
      throws IOException, InterruptedException {
    StoreOptions store = options.backend().options(workers.threads());
    UndoSwitch undo = new UndoSwitch();
    try (BenchmarkStore stepped =
        BenchmarkStore.create(directory, planes.count(), plane, store, undo::open)) {
      List<PairedTimes> results = new ArrayList<>();
      for (Rounding rounding : Rounding.values()) {
        TimedTask task =
            new TimedTask(
                "store, gradient plane " + plane.word() + ", " + Labels.of(rounding),
                () -> put(stepped, undo, true),
                () -> stepped.step(rounding));
        warmUp(List.of(task));
        results.add(PairedTimes.measure(roof, task, options.pairs()));
        if (plane != GradientPlane.NONE && stepped.canStepUnsaved()) {
          TimedTask unguarded =
              new TimedTask(
                  "without undo", () -> put(stepped, undo, false), () -> stepped.step(rounding));
          warmUp(List.of(unguarded, task));
          guarded.add(PairedTimes.measure(unguarded, task, options.pairs()));
        }
      }
      return results;
    }
  }

  private void put(BenchmarkStore stepped, UndoSwitch undo, boolean saving) {
    stepped.putGradient(planes.gradient());
    undo.set(saving);
  }

  private static void warmUp(List<TimedTask> tasks) throws IOException, InterruptedException {
    long end = System.nanoTime() + WARM_UP_NANOS;
    for (int i = 0; i < WARM_UP_PASSES || System.nanoTime() - end < 0; i++) {
      for (TimedTask task : tasks) {
        task.nanos();
      }
    }
  }

  private static int indexOfBest(List<PairedTimes> candidates) {
    int best = 0;
    for (int i = 1; i < candidates.size(); i++) {
      if (candidates.get(i).share(0.5) > candidates.get(best).share(0.5)) {
        best = i;
      }
    }
    return best;
  }
}
