package dev.lionstore.benchmarks;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.bench.BenchmarkStore;
import dev.lionstore.bench.Comparison;
import dev.lionstore.bench.Crew;
import dev.lionstore.bench.Planes;
import dev.lionstore.bench.Roofs;
import dev.lionstore.bench.Subject;
import dev.lionstore.bench.Sweep;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.rule.Lion;
import dev.lionstore.store.StoreOptions;
import dev.lionstore.store.UndoSwitch;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import joptsimple.OptionException;

/**
 * Measures a CPU's kernel, and with a directory the store's whole step, as a share of the roof: the
 * best loop that reads the same four streams and writes the same three in place, with the same
 * threads in the same kind of memory, interleaved with what is measured.
 */
public final class RoofBenchmark {
  private static final int WARM_UP_PASSES = 5;

  /** C2 takes seconds for the vector loop, twice: the undo comes after kernels that have none. */
  private static final long WARM_UP_NANOS = 4_000_000_000L;

  private final RoofOptions options;
  private final Crew crew;
  private final Planes planes;

  private RoofBenchmark(RoofOptions options, Crew crew, Planes planes) {
    this.options = options;
    this.crew = crew;
    this.planes = planes;
  }

  /** The command line; see {@code --help}. */
  public static void main(String[] arguments) throws IOException, InterruptedException {
    try {
      Optional<RoofOptions> options = RoofOptions.parse(arguments);
      if (options.isPresent()) {
        System.out.print(measure(options.get()).print(options.get().format()));
      }
    } catch (OptionException | IllegalArgumentException e) {
      System.err.println("benchmark: " + e.getMessage());
      System.exit(2);
    }
  }

  private static RoofReport measure(RoofOptions options) throws IOException, InterruptedException {
    try (Crew crew = new Crew(options.threads());
        Planes planes = allocate(options)) {
      return new RoofBenchmark(options, crew, planes).run();
    }
  }

  private static Planes allocate(RoofOptions options) throws IOException {
    return options.directory().isPresent()
        ? Planes.mapped(options.directory().get(), options.parameters(), ElementType.BF16)
        : Planes.anonymous(options.parameters(), ElementType.BF16);
  }

  private RoofReport run() throws IOException, InterruptedException {
    List<Subject> roofs = Roofs.of(crew, planes);
    Kernels.Selection selection = Kernels.select(options.backend().name(), Lion.RULE);
    List<Subject> kernels = kernels(selection.kernel());
    warmUp(roofs);
    if (!kernels.isEmpty()) {
      warmUp(kernels);
    }
    List<Comparison> candidates = new ArrayList<>();
    for (Subject roof : roofs) {
      candidates.add(Comparison.measure(roofs.getFirst(), roof, options.pairs()));
    }
    Subject best = roofs.get(indexOfBest(candidates));
    List<Comparison> results = new ArrayList<>();
    for (Subject kernel : kernels) {
      results.add(Comparison.measure(best, kernel, options.pairs()));
    }
    List<Comparison> guarded = new ArrayList<>();
    if (options.directory().isPresent()) {
      for (GradientPlane plane : List.of(GradientPlane.NONE, GradientPlane.BF16)) {
        results.addAll(stores(best, options.directory().get(), plane, guarded));
      }
    }
    return RoofReport.of(options, selection.reason(), candidates, best.name(), results, guarded);
  }

  /** A device's kernel steps stores alone. */
  private List<Subject> kernels(Kernel kernel) {
    List<Subject> kernels = new ArrayList<>();
    if (kernel.unit() == Kernel.Unit.SLICE) {
      for (Rounding rounding : Rounding.values()) {
        kernels.add(
            Subject.of(
                "kernel, " + word(rounding),
                crew.pass(Sweep.of(kernel, planes, rounding), planes.count())));
      }
    }
    kernel.close();
    return kernels;
  }

  /** A store's step beside the roof and, if it saves what it changes, beside one that does not. */
  private List<Comparison> stores(
      Subject roof, Path directory, GradientPlane plane, List<Comparison> guarded)
      throws IOException, InterruptedException {
    StoreOptions store = options.backend().options(crew.threads());
    UndoSwitch undo = new UndoSwitch();
    try (BenchmarkStore stepped =
        BenchmarkStore.create(directory, planes.count(), plane, store, undo::open)) {
      List<Comparison> results = new ArrayList<>();
      for (Rounding rounding : Rounding.values()) {
        Subject subject =
            new Subject(
                "store, gradient plane " + plane.word() + ", " + word(rounding),
                () -> put(stepped, undo, true),
                () -> stepped.step(rounding));
        warmUp(List.of(subject));
        results.add(Comparison.measure(roof, subject, options.pairs()));
        if (plane != GradientPlane.NONE && stepped.canStepUnsaved()) {
          Subject unguarded =
              new Subject(
                  "without undo", () -> put(stepped, undo, false), () -> stepped.step(rounding));
          warmUp(List.of(unguarded, subject));
          guarded.add(Comparison.measure(unguarded, subject, options.pairs()));
        }
      }
      return results;
    }
  }

  private void put(BenchmarkStore stepped, UndoSwitch undo, boolean saving) {
    stepped.putGradient(planes.gradient());
    undo.set(saving);
  }

  private static void warmUp(List<Subject> subjects) throws IOException, InterruptedException {
    long end = System.nanoTime() + WARM_UP_NANOS;
    for (int i = 0; i < WARM_UP_PASSES || System.nanoTime() - end < 0; i++) {
      for (Subject subject : subjects) {
        subject.nanos();
      }
    }
  }

  private static int indexOfBest(List<Comparison> candidates) {
    int best = 0;
    for (int i = 1; i < candidates.size(); i++) {
      if (candidates.get(i).share(0.5) > candidates.get(best).share(0.5)) {
        best = i;
      }
    }
    return best;
  }

  static String word(Rounding rounding) {
    return rounding.name().toLowerCase(Locale.ROOT);
  }
}
