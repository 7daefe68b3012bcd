package dev.lionstore.benchmarks;

import dev.lionstore.ElementType;
import dev.lionstore.TensorSpec;
import dev.lionstore.bench.BenchmarkStore;
import dev.lionstore.bench.Comparison;
import dev.lionstore.bench.Proc;
import dev.lionstore.bench.Samples;
import dev.lionstore.bench.Subject;
import dev.lionstore.bench.Turns;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.LionConfig;
import dev.lionstore.rule.Plane;
import dev.lionstore.store.PlaneAccess;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StepRequest;
import dev.lionstore.store.StepResult;
import dev.lionstore.store.StoreOptions;
import java.io.IOException;
import java.io.PrintStream;
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
import joptsimple.OptionException;
import joptsimple.OptionParser;
import joptsimple.OptionSet;
import joptsimple.OptionSpec;

/**
 * Steps a store on a disk with gradients made up, each step beside a pass that moves the same bytes
 * and computes nothing.
 */
public final class DiskStepBenchmark {
  private static final Path MEMORY = Path.of("/proc/meminfo");
  private static final StepRequest REQUEST =
      StepRequest.of(LionConfig.defaults().withWeightDecay(0.1), 1e-5);

  private final PrintStream out;
  private final StateStore store;
  private final GradientValues gradients;

  private DiskStepBenchmark(PrintStream out, StateStore store, Arena arena) {
    this.out = out;
    this.store = store;
    ElementType type = BenchmarkStore.gradientType(store.layout().gradientPlane());
    long most = store.layout().tensors().stream().mapToLong(TensorSpec::count).max().orElse(0);
    MemorySegment values = arena.allocate(most * type.bytes(), Long.BYTES);
    Samples.fillGradient(type, values, 1);
    this.gradients = new GradientValues(type, values);
  }

  /** The command line; see {@code --help}. */
  public static void main(String[] arguments) throws InterruptedException {
    System.exit(run(System.out, System.err, arguments));
  }

  /** Gives the exit code: 1 for a failure, 2 for wrong options. */
  static int run(PrintStream out, PrintStream err, String... arguments)
      throws InterruptedException {
    OptionParser parser = new OptionParser();
    OptionSpec<String> path =
        parser.accepts("store", "on the disk; it is stepped for good").withRequiredArg();
    OptionSpec<Integer> steps =
        parser.accepts("steps", "to take").withRequiredArg().ofType(Integer.class).defaultsTo(5);
    OptionSpec<String> access =
        parser
            .accepts("access", "to the planes: auto, mapped or direct")
            .withRequiredArg()
            .defaultsTo("auto");
    OptionSpec<Integer> threads =
        parser
            .accepts("disk-threads", "of the passes beside the steps, each a row")
            .withRequiredArg()
            .ofType(Integer.class)
            .withValuesSeparatedBy(',')
            .defaultsTo(4, 8);
    OptionSpec<Integer> workers =
        parser
            .accepts("threads", "that step, in place")
            .withRequiredArg()
            .ofType(Integer.class)
            .defaultsTo(StoreOptions.defaults().threads());
    parser.accepts("only-steps", "without passes of the disk");
    parser.accepts("help", "print this");
    try {
      OptionSet given = parser.parse(arguments);
      if (given.has("help")) {
        parser.printHelpOn(out);
        return 0;
      }
      if (!given.has(path)) {
        throw new IllegalArgumentException("--store is missing, expected a store on a disk");
      }
      PlaneAccess way = PlaneAccess.valueOf(given.valueOf(access).toUpperCase(Locale.ROOT));
      StoreOptions options =
          StoreOptions.defaults()
              .withBackend("vector")
              .withAccess(way)
              .withThreads(given.valueOf(workers));
      try (StateStore store = StateStore.open(Path.of(given.valueOf(path)), options);
          Arena arena = Arena.ofShared()) {
        new DiskStepBenchmark(out, store, arena)
            .measure(
                given.valueOf(steps),
                given.has("only-steps") ? List.of() : given.valuesOf(threads));
      }
      return 0;
    } catch (OptionException | IllegalArgumentException e) {
      err.println("benchmark: " + e.getMessage());
      return 2;
    } catch (IOException e) {
      err.println("benchmark: " + e);
      return 1;
    }
  }

  private void measure(int steps, List<Integer> threads) throws IOException, InterruptedException {
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
        store.kernel().reason());
    try (MixedDisk disk = new MixedDisk(state, kept)) {
      List<Subject> subjects = new ArrayList<>();
      for (int t : threads) {
        subjects.add(
            Subject.of("disk, read and written, %d threads".formatted(t), () -> disk.pass(t)));
      }
      List<Long> putting = new ArrayList<>();
      subjects.add(new Subject("step", () -> putting.add(put()), this::step));
      long cached = Proc.bytesTold(MEMORY, "Cached:");
      if (!threads.isEmpty()) {
        disk.pass(threads.getFirst()); // unmeasured: it drops the pages that an import leaves
      }
      Turns turns = Turns.measure(subjects, steps);
      int best = threads.isEmpty() ? 0 : turns.best(threads.size()); // the step beside itself
      out.printf(
          "%n| what | share of the disk | low … high | seconds | GB/s |%n|---|---|---|---|---|%n");
      for (Comparison c : turns.compare(best, 0, subjects.size())) {
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
      long put = Turns.median(putting.stream().mapToLong(Long::longValue).toArray());
      out.printf(
          Locale.ROOT,
          "%nputting the gradients: %.2f s; at step %d; memory that no file backs %.0f MB, page"
              + " cache %+.2f GB%n",
          put / SnapshotFigures.GIGA,
          store.step(),
          Proc.bytesTold(ExtraUse.STATUS, "RssAnon:") / 1e6,
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
    store.putGradients(all);
    return System.nanoTime() - start;
  }

  private void step() throws IOException {
    if (!(store.step(REQUEST) instanceof StepResult.Applied)) {
      throw new IOException("the step was refused");
    }
  }
}
