package dev.lionstore.bench;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.DeviceOptions;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.mapping.Posix;
import dev.lionstore.opencl.DeviceStep;
import dev.lionstore.rule.Lion;
import dev.lionstore.store.StoreOptions;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
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
  private static final long COMPILED_WITH = Crew.CHUNK;

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
        Crew crew = new Crew(settings.threads());
        Planes planes = Planes.mapped(folder.path(), settings.parameters(), ElementType.BF16)) {
      Planes first = planes.first(COMPILED_WITH);
      List<Subject> firstRoofs = Roofs.of(crew, first);
      Warming.compile(firstRoofs);
      List<Subject> roofs = Roofs.of(crew, planes);
      Warming.up(WARM_UP, roofs);
      Turns turns = Turns.measure(roofs, ROOF_ROUNDS);
      int best = turns.best(roofs.size());
      progress.accept(1);
      List<BenchResult.Step> steps = new ArrayList<>();
      for (BenchBackend backend : choice.backends()) {
        Figures figures =
            new Figures(backend, roofs.get(best), firstRoofs.get(best), steps, progress);
        Planes stepped = planes.first(backend.stepped(planes.count()));
        measureKernel(figures, crew, stepped);
        measureStore(figures, folder.path(), stepped);
      }
      long roofNanos = Turns.median(turns.nanos()[best]);
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
          operationsPerSecond(crew, steps),
          steps,
          choice.leftOut());
    }
  }

  /** Of the CPU's kernel that was the fastest, or that is here. */
  private double operationsPerSecond(Crew crew, List<BenchResult.Step> steps)
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
            .map(step -> Kernels.select(step.backend(), Lion.RULE).kernel())
            .orElseGet(() -> Kernels.ofCpu(Lion.RULE))) {
      return CachePeak.operationsPerSecond(kernel, crew);
    }
  }

  private void measureKernel(Figures figures, Crew crew, Planes planes)
      throws IOException, InterruptedException {
    if (figures.backend.device().isPresent()) {
      try (DeviceStep device =
          new DeviceStep(
              figures.backend.device().get(), Lion.RULE, planes.step(Rounding.NEAREST))) {
        for (Rounding rounding : Rounding.values()) {
          Subject pass = Subject.of("kernel", () -> device.run(planes.step(rounding), 1));
          figures.measure(BenchResult.Extent.KERNEL, rounding, pass, pass);
        }
      }
    } else {
      try (Kernel kernel = Kernels.select(figures.backend.backend(), Lion.RULE).kernel()) {
        for (Rounding rounding : Rounding.values()) {
          figures.measure(
              BenchResult.Extent.KERNEL,
              rounding,
              kernelPass(crew, kernel, planes.first(COMPILED_WITH), rounding),
              kernelPass(crew, kernel, planes, rounding));
        }
      }
    }
  }

  private static Subject kernelPass(Crew crew, Kernel kernel, Planes planes, Rounding rounding) {
    return Subject.of("kernel", crew.pass(Sweep.of(kernel, planes, rounding), planes.count()));
  }

  private void measureStore(Figures figures, Path folder, Planes planes)
      throws IOException, InterruptedException {
    StoreOptions options =
        StoreOptions.defaults()
            .withBackend(figures.backend.backend())
            .withThreads(settings.threads());
    if (figures.backend.device().isPresent()) {
      options =
          options.withDevice(DeviceOptions.defaults().withMemory(DeviceOptions.Memory.IN_PLACE));
    }
    Planes first = planes.first(COMPILED_WITH);
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

  private static Subject transaction(BenchmarkStore store, Planes planes, Rounding rounding) {
    return new Subject(
        "store", () -> store.putGradient(planes.gradient()), () -> store.step(rounding));
  }

  private double bytesPerSecond(long nanos) {
    return 1e9 * LionWork.BYTES * settings.parameters() / nanos;
  }

  /** A backend's rows. */
  private final class Figures {
    private final BenchBackend backend;
    private final Subject roof;
    private final Subject firstRoof;
    private final List<BenchResult.Step> steps;
    private final LongConsumer progress;

    Figures(
        BenchBackend backend,
        Subject roof,
        Subject firstRoof,
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
    void measure(BenchResult.Extent extent, Rounding rounding, Subject small, Subject subject)
        throws IOException, InterruptedException {
      Warming.compile(List.of(firstRoof, small));
      Warming.up(WARM_UP, 1, List.of(roof, subject));
      Comparison pairs =
          settings.pairs().isPresent()
              ? Comparison.measure(roof, subject, settings.pairs().getAsInt())
              : Comparison.measure(
                  roof, subject, LEAST_PAIRS, MOST_PAIRS, TIME.dividedBy(figures()));
      double part = (double) backend.stepped(settings.parameters()) / settings.parameters();
      double bytes = part * bytesPerSecond(pairs.medianNanos());
      steps.add(
          new BenchResult.Step(
              backend.backend(),
              backend.name(),
              extent.word(),
              rounding.name().toLowerCase(Locale.ROOT),
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
