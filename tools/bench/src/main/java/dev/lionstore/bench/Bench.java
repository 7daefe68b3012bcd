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
import java.util.List;
import java.util.Locale;
import java.util.function.LongConsumer;

/**
 * Measures each backend's kernel and its store's whole step as a share of the roof, in pairs with
 * the roof's passes, all in files of one folder.
 */
public final class Bench {
  /** What all figures together may take, beside the least pairs and what builds stores. */
  private static final Duration TIME = Duration.ofSeconds(14);

  private static final Duration MOST_WARM_UP = Duration.ofMillis(700);

  /** Where a user says how many pairs there are, and so how long it takes. */
  private static final Duration SHORT_WARM_UP = Duration.ofMillis(200);

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
      List<Subject> roofs = Roofs.of(crew, planes);
      Warming.up(warmUp(), roofs);
      Turns turns = Turns.measure(roofs, ROOF_ROUNDS);
      Subject roof = roofs.get(turns.best(roofs.size()));
      progress.accept(1);
      List<BenchResult.Step> steps = new ArrayList<>();
      for (BenchBackend backend : choice.backends()) {
        Figures figures = new Figures(backend, roof, steps, progress);
        measureKernel(figures, crew, planes);
        measureStore(figures, folder.path(), planes);
      }
      long roofNanos = Turns.median(turns.nanos()[turns.best(roofs.size())]);
      return new BenchResult(
          new BenchResult.Machine(
              Proc.cpuModel(),
              Runtime.getRuntime().availableProcessors(),
              Runtime.version().toString(),
              parent.toString(),
              Posix.fileSystem(parent)),
          settings.parameters(),
          settings.threads(),
          new BenchResult.Roof(roof.name(), bytesPerSecond(roofNanos)),
          operationsPerSecond(crew),
          steps,
          choice.leftOut());
    }
  }

  /** Of the fastest of the CPU's kernels that are measured, or that is here. */
  private double operationsPerSecond(Crew crew) throws IOException, InterruptedException {
    double best = 0;
    for (BenchBackend backend : choice.backends()) {
      if (backend.device().isEmpty()) {
        try (Kernel kernel = Kernels.select(backend.backend(), Lion.RULE).kernel()) {
          best = Math.max(best, CachePeak.operationsPerSecond(kernel, crew));
        }
      }
    }
    return best > 0 ? best : CachePeak.operationsPerSecond(Kernels.ofCpu(Lion.RULE), crew);
  }

  private void measureKernel(Figures figures, Crew crew, Planes planes)
      throws IOException, InterruptedException {
    if (figures.backend.device().isPresent()) {
      try (DeviceStep device =
          new DeviceStep(
              figures.backend.device().get(), Lion.RULE, planes.step(Rounding.NEAREST))) {
        for (Rounding rounding : Rounding.values()) {
          figures.measure(
              BenchResult.Extent.KERNEL,
              rounding,
              Subject.of("kernel", () -> device.run(planes.step(rounding), 1)));
        }
      }
    } else {
      try (Kernel kernel = Kernels.select(figures.backend.backend(), Lion.RULE).kernel()) {
        for (Rounding rounding : Rounding.values()) {
          figures.measure(
              BenchResult.Extent.KERNEL,
              rounding,
              Subject.of("kernel", crew.pass(Sweep.of(kernel, planes, rounding), planes.count())));
        }
      }
    }
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
    try (BenchmarkStore store =
        BenchmarkStore.create(folder, planes.count(), GradientPlane.BF16, options)) {
      for (Rounding rounding : Rounding.values()) {
        figures.measure(
            BenchResult.Extent.STORE,
            rounding,
            new Subject(
                "store", () -> store.putGradient(planes.gradient()), () -> store.step(rounding)));
      }
    }
  }

  private double bytesPerSecond(long nanos) {
    return 1e9 * LionWork.BYTES * settings.parameters() / nanos;
  }

  private Duration warmUp() {
    return settings.pairs().isPresent() ? SHORT_WARM_UP : share(MOST_WARM_UP);
  }

  /** Each figure's part of a time. */
  private Duration share(Duration most) {
    Duration part = TIME.dividedBy(2L * figures());
    return part.compareTo(most) < 0 ? part : most;
  }

  /** A backend's rows. */
  private final class Figures {
    private final BenchBackend backend;
    private final Subject roof;
    private final List<BenchResult.Step> steps;
    private final LongConsumer progress;

    Figures(
        BenchBackend backend, Subject roof, List<BenchResult.Step> steps, LongConsumer progress) {
      this.backend = backend;
      this.roof = roof;
      this.steps = steps;
      this.progress = progress;
    }

    void measure(BenchResult.Extent extent, Rounding rounding, Subject subject)
        throws IOException, InterruptedException {
      Warming.up(warmUp(), List.of(subject));
      Comparison pairs =
          settings.pairs().isPresent()
              ? Comparison.measure(roof, subject, settings.pairs().getAsInt())
              : Comparison.measure(roof, subject, LEAST_PAIRS, MOST_PAIRS, share(TIME));
      double bytes = bytesPerSecond(pairs.medianNanos());
      steps.add(
          new BenchResult.Step(
              backend.backend(),
              backend.name(),
              extent.word(),
              rounding.name().toLowerCase(Locale.ROOT),
              pairs.share(0.5),
              pairs.share(0.1),
              pairs.share(0.9),
              bytes,
              bytes / LionWork.BYTES,
              bytesPerSecond(pairs.medianRoofNanos()),
              LionWork.operationsPerByte(rounding),
              pairs.pairs()));
      progress.accept(1);
    }
  }
}
