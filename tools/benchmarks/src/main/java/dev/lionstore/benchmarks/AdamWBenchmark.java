package dev.lionstore.benchmarks;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.bench.BenchmarkStore;
import dev.lionstore.bench.Comparison;
import dev.lionstore.bench.Crew;
import dev.lionstore.bench.Planes;
import dev.lionstore.bench.Proc;
import dev.lionstore.bench.Subject;
import dev.lionstore.bench.Sweep;
import dev.lionstore.bench.Turns;
import dev.lionstore.bench.Warming;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.rule.Lion;
import dev.lionstore.store.StoreOptions;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import joptsimple.OptionSet;
import joptsimple.OptionSpec;

/**
 * Lion's kernel and a store's step beside libtorch's fused AdamW: the same number of parameters,
 * the same cores, in turns.
 */
public final class AdamWBenchmark {
  /** Planes for the kernel, and a store on the tmpfs. */
  private static final int OWN_BYTES_PER_PARAMETER = 16;

  private static final long MORE_BYTES = 1L << 30;

  /**
   * DeepSpeed's cpu_lion with the cast of its weights, on two such cores, in parameters a second.
   */
  private static final double DEEPSPEED = 1.40e9;

  private static final double DEEPSPEED_GOAL = 2.2;

  private final PrintStream out;
  private final long parameters;
  private final int threads;
  private final int rounds;
  private final Path directory;

  private AdamWBenchmark(
      PrintStream out, long parameters, int threads, int rounds, Path directory) {
    this.out = out;
    this.parameters = parameters;
    this.threads = threads;
    this.rounds = rounds;
    this.directory = directory;
  }

  /** The command line; see {@code --help}. */
  public static void main(String[] arguments) throws InterruptedException {
    System.exit(run(System.out, System.err, arguments));
  }

  /** Gives the exit code: 1 for a failure, 2 for wrong options. */
  static int run(PrintStream out, PrintStream err, String... arguments)
      throws InterruptedException {
    Options options = new Options();
    OptionSpec<Integer> size =
        options.number("size", "million parameters; fewer if memory holds fewer", 1000);
    OptionSpec<Integer> threads =
        options.number("threads", "of each", StoreOptions.defaults().threads());
    OptionSpec<Integer> rounds = options.number("pairs", "of measurements", 11);
    OptionSpec<String> directory =
        options
            .parser()
            .accepts("directory", "where the store lies")
            .withRequiredArg()
            .defaultsTo("/dev/shm");
    return options.run(
        out,
        err,
        arguments,
        given ->
            new AdamWBenchmark(
                    out,
                    fitting(given, size, out),
                    given.valueOf(threads),
                    given.valueOf(rounds),
                    Path.of(given.valueOf(directory)))
                .measure());
  }

  private static long fitting(OptionSet given, OptionSpec<Integer> size, PrintStream out)
      throws IOException {
    long asked = given.valueOf(size) * 1_000_000L;
    int each = OWN_BYTES_PER_PARAMETER + TorchAdamW.BYTES_PER_PARAMETER;
    long available = Proc.availableMemory();
    long most = available == 0 ? asked : Math.max(0, available - MORE_BYTES) / each;
    if (most >= asked) {
      return asked;
    }
    long fewer = Math.max(1, most / 1_000_000) * 1_000_000;
    out.printf(
        Locale.ROOT,
        "%,d parameters take %.1f GB with both, %.1f GB are free: measured with %,d%n",
        asked,
        asked * each / 1e9,
        available / 1e9,
        fewer);
    return fewer;
  }

  private void measure() throws IOException, InterruptedException {
    StoreOptions options = StoreOptions.defaults().withBackend("vector").withThreads(threads);
    try (TorchAdamW torch = new TorchAdamW(parameters, threads);
        Crew crew = new Crew(threads);
        Kernel kernel = Kernels.select("vector", Lion.RULE).kernel();
        Planes planes = Planes.anonymous(parameters, ElementType.BF16);
        BenchmarkStore store =
            BenchmarkStore.create(directory, parameters, GradientPlane.BF16, options)) {
      List<Subject> subjects = new ArrayList<>();
      subjects.add(Subject.of("AdamW, fused, with its casts", torch::step));
      subjects.add(Subject.of("AdamW, fused, alone", torch::stepAlone));
      for (Rounding rounding : Rounding.values()) {
        String word = RoofBenchmark.word(rounding);
        subjects.add(
            Subject.of(
                "Lion, kernel, " + word,
                crew.pass(Sweep.of(kernel, planes, rounding), parameters)));
        subjects.add(
            new Subject(
                "Lion, store's step, " + word,
                () -> store.putGradient(planes.gradient()),
                () -> store.step(rounding)));
      }
      Warming.up(Duration.ofSeconds(2), subjects);
      print(Turns.measure(subjects, rounds).compare(0, 0, subjects.size()));
    }
  }

  private void print(List<Comparison> rows) throws IOException {
    out.printf(
        Locale.ROOT,
        "%s; %,d parameters, %d threads, %d rounds in turns; libtorch: %s; JDK %s%n%n",
        Proc.cpuModel(),
        parameters,
        threads,
        rounds,
        TorchAdamW.description(),
        Runtime.version());
    out.printf(
        "| what | times AdamW | 10 %% … 90 %% | Gparam/s | times DeepSpeed's %.2f, wanted %.1f |%n"
            + "|---|---|---|---|---|%n",
        DEEPSPEED / 1e9, DEEPSPEED_GOAL);
    for (Comparison row : rows) {
      double rate = 1e9 * parameters / row.medianNanos();
      out.printf(
          Locale.ROOT,
          "| %s | %.2f | %.2f … %.2f | %.3f | %.2f |%n",
          row.name(),
          row.share(0.5),
          row.share(0.1),
          row.share(0.9),
          rate / 1e9,
          rate / DEEPSPEED);
    }
  }
}
