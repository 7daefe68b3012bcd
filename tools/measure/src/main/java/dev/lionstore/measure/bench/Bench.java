package dev.lionstore.measure.bench;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.DeviceOptions;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.measure.device.DeviceStep;
import dev.lionstore.measure.report.Labels;
import dev.lionstore.measure.roof.Roofs;
import dev.lionstore.measure.timing.InterleavedTimes;
import dev.lionstore.measure.timing.PairedTimes;
import dev.lionstore.measure.timing.Proc;
import dev.lionstore.measure.timing.TimedTask;
import dev.lionstore.measure.timing.Warming;
import dev.lionstore.measure.workload.BenchmarkStore;
import dev.lionstore.measure.workload.LionWork;
import dev.lionstore.measure.workload.Sweep;
import dev.lionstore.measure.workload.TensorPlanes;
import dev.lionstore.measure.workload.WorkerThreads;
import dev.lionstore.os.Posix;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.store.StoreOptions;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.LongConsumer;
import java.util.stream.Collectors;

/**
 * Measures each backend's kernel and its store's whole step as a share of the roof, in pairs with
 * the roof's passes, all in files of one folder.
 */
public final class Bench {
  /** What the pairs of all figures together may take, beside the least pairs. */
  private static final Duration TIME = Duration.ofSeconds(7);

  /** Beside what the JVM's compilers take. */
  private static final Duration WARM_UP = Duration.ofMillis(200);

  /** What is compiled is passed over by one thread: the other cores are for the compilers. */
  private static final long COMPILED_WITH = WorkerThreads.CHUNK;

  private static final int LEAST_PAIRS = 3;
  private static final int MOST_PAIRS = 41;
  private static final int ROOF_ROUNDS = 7;

  private final BenchSettings settings;
  private final BenchBackend.Choice choice;
  private final Path parent;

  private Bench(BenchSettings settings, BenchBackend.Choice choice, Path parent) {
    this.settings = settings;
    this.choice = choice;
    this.parent = parent;
  }

  /**
   * Finds out what there is to measure, and whether there is room.
   *
   * @throws IllegalArgumentException if a backend is not here, or cannot be measured
   * @throws IOException if there is too little room or memory
   */
  public static Bench of(BenchSettings settings) throws IOException {
    BenchBackend.Choice choice =
        settings.backends().isEmpty()
            ? BenchBackend.all()
            : new BenchBackend.Choice(
                settings.backends().stream().distinct().map(BenchBackend::named).toList(),
                List.of());
    boolean devices = choice.backends().stream().anyMatch(b -> b.device().isPresent());
    long deviceBytes = devices ? settings.parameters() * 4 * Short.BYTES : 0;
    return new Bench(settings, choice, BenchFolder.parent(settings, deviceBytes));
  }

  /** How many figures it finds; each is told when it is found. */
  public int figures() {
    return 1 + choice.backends().size() * BenchResult.Extent.values().length * 2;
  }

  /**
   * Measures.
   *
   * @param progress is told how many figures have been found since the last call
   */
  public BenchResult run(LongConsumer progress) throws IOException, InterruptedException {
    try (BenchFolder folder = BenchFolder.in(parent);
        WorkerThreads workers = new WorkerThreads(settings.threads());
        TensorPlanes planes =
            TensorPlanes.mapped(folder.path(), settings.parameters(), ElementType.BF16)) {
      TensorPlanes first = planes.first(COMPILED_WITH);
      List<TimedTask> firstRoofs = Roofs.of(workers, first);
      Warming.compile(firstRoofs);
      List<TimedTask> roofs = Roofs.of(workers, planes);
      Warming.up(WARM_UP, roofs);
      InterleavedTimes times = InterleavedTimes.measure(roofs, ROOF_ROUNDS);
      int best = times.best(roofs.size());
      progress.accept(1);
      List<BenchResult.Step> steps = new ArrayList<>();
      for (BenchBackend backend : choice.backends()) {
        Figures figures =
            new Figures(backend, roofs.get(best), firstRoofs.get(best), steps, progress);
        TensorPlanes stepped = planes.first(backend.stepped(planes.count()));
        measureKernel(figures, workers, stepped);
        measureStore(figures, folder.path(), stepped);
      }
      long roofNanos = InterleavedTimes.median(times.nanos()[best]);
      return new BenchResult(
          new BenchResult.Machine(
              Proc.cpuModel(),
              Runtime.getRuntime().availableProcessors(),
              Runtime.version().toString(),
              parent.toString(),
              Posix.fileSystem(parent)),
          settings.parameters(),
          settings.threads(),
          new BenchResult.Roof(roofs.get(best).name(), bytesPerSecond(roofNanos)),
          operationsPerSecond(workers, steps),
          steps,
          choice.leftOut());
    }
  }

  /** Of the CPU's kernel that was the fastest, or that is here. */
  private double operationsPerSecond(WorkerThreads workers, List<BenchResult.Step> steps)
      throws IOException, InterruptedException {
    Set<String> cpu =
        choice.backends().stream()
            .filter(backend -> backend.device().isEmpty())
            .map(BenchBackend::backend)
            .collect(Collectors.toSet());
    Optional<BenchResult.Step> fastest =
        steps.stream()
            .filter(step -> cpu.contains(step.backend()))
            .filter(step -> step.what().equals(BenchResult.Extent.KERNEL.word()))
            .max(Comparator.comparingDouble(BenchResult.Step::parametersPerSecond));
    try (Kernel kernel =
        fastest
            .map(step -> Kernels.select(step.backend(), UpdateRules.LION).kernel())
            .orElseGet(() -> Kernels.ofCpu(UpdateRules.LION))) {
      return CachePeak.operationsPerSecond(kernel, workers);
    }
  }

  private void measureKernel(Figures figures, WorkerThreads workers, TensorPlanes planes)
      throws IOException, InterruptedException {
    if (figures.backend.device().isPresent()) {
      try (DeviceStep device =
          new DeviceStep(
              figures.backend.device().get(), UpdateRules.LION, planes.step(Rounding.NEAREST))) {
        for (Rounding rounding : Rounding.values()) {
          TimedTask pass = TimedTask.of("kernel", () -> device.run(planes.step(rounding), 1));
          figures.measure(BenchResult.Extent.KERNEL, rounding, pass, pass);
        }
      }
    } else {
      try (Kernel kernel = Kernels.select(figures.backend.backend(), UpdateRules.LION).kernel()) {
        for (Rounding rounding : Rounding.values()) {
          figures.measure(
              BenchResult.Extent.KERNEL,
              rounding,
              kernelPass(workers, kernel, planes.first(COMPILED_WITH), rounding),
              kernelPass(workers, kernel, planes, rounding));
        }
      }
    }
  }

  private static TimedTask kernelPass(
      WorkerThreads workers, Kernel kernel, TensorPlanes planes, Rounding rounding) {
    return TimedTask.of("kernel", workers.pass(Sweep.of(kernel, planes, rounding), planes.count()));
  }

  private void measureStore(Figures figures, Path folder, TensorPlanes planes)
      throws IOException, InterruptedException {
    StoreOptions options =
        StoreOptions.defaults()
            .withBackend(figures.backend.backend())
            .withThreads(settings.threads());
    if (figures.backend.device().isPresent()) {
      options =
          options.withDevice(DeviceOptions.defaults().withMemory(DeviceOptions.Memory.IN_PLACE));
    }
    TensorPlanes first = planes.first(COMPILED_WITH);
    try (BenchmarkStore small =
            BenchmarkStore.create(folder, first.count(), GradientPlane.BF16, options);
        BenchmarkStore store =
            BenchmarkStore.create(folder, planes.count(), GradientPlane.BF16, options)) {
      for (Rounding rounding : Rounding.values()) {
        figures.measure(
            BenchResult.Extent.STORE,
            rounding,
            transaction(small, first, rounding),
            transaction(store, planes, rounding));
      }
    }
  }

  private static TimedTask transaction(
      BenchmarkStore store, TensorPlanes planes, Rounding rounding) {
    return new TimedTask(
        "store", () -> store.putGradient(planes.gradient()), () -> store.step(rounding));
  }

  private double bytesPerSecond(long nanos) {
    return 1e9 * LionWork.BYTES * settings.parameters() / nanos;
  }

  /** A backend's rows. */
  private final class Figures {
    private final BenchBackend backend;
    private final TimedTask roof;
    private final TimedTask firstRoof;
    private final List<BenchResult.Step> steps;
    private final LongConsumer progress;

    Figures(
        BenchBackend backend,
        TimedTask roof,
        TimedTask firstRoof,
        List<BenchResult.Step> steps,
        LongConsumer progress) {
      this.backend = backend;
      this.roof = roof;
      this.firstRoof = firstRoof;
      this.steps = steps;
      this.progress = progress;
    }

    /**
     * Adds a row. A rounding is compiled when it is its turn: the compiler makes the most of the
     * scalar reference if it meets one after the other.
     *
     * @param small the same over the first parameters
     */
    void measure(BenchResult.Extent extent, Rounding rounding, TimedTask small, TimedTask task)
        throws IOException, InterruptedException {
      Warming.compile(List.of(firstRoof, small));
      Warming.up(WARM_UP, 1, List.of(roof, task));
      PairedTimes pairs =
          settings.pairs().isPresent()
              ? PairedTimes.measure(roof, task, settings.pairs().getAsInt())
              : PairedTimes.measure(roof, task, LEAST_PAIRS, MOST_PAIRS, TIME.dividedBy(figures()));
      double part = (double) backend.stepped(settings.parameters()) / settings.parameters();
      double bytes = part * bytesPerSecond(pairs.medianNanos());
      steps.add(
          new BenchResult.Step(
              backend.backend(),
              backend.name(),
              extent.word(),
              Labels.of(rounding),
              part * pairs.share(0.5),
              part * pairs.share(0.1),
              part * pairs.share(0.9),
              bytes,
              bytes / LionWork.BYTES,
              bytesPerSecond(pairs.medianRoofNanos()),
              LionWork.operationsPerByte(rounding),
              pairs.pairs()));
      progress.accept(1);
    }
  }
}
