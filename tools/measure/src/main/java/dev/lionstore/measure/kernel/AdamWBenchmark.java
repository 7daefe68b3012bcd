package dev.lionstore.measure.kernel;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.measure.report.Labels;
import dev.lionstore.measure.timing.InterleavedTimes;
import dev.lionstore.measure.timing.PairedTimes;
import dev.lionstore.measure.timing.Proc;
import dev.lionstore.measure.timing.TimedTask;
import dev.lionstore.measure.timing.Warming;
import dev.lionstore.measure.workload.BenchmarkStore;
import dev.lionstore.measure.workload.Sweep;
import dev.lionstore.measure.workload.TensorPlanes;
import dev.lionstore.measure.workload.WorkerThreads;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.store.StoreOptions;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Lion's kernel and a store's step beside libtorch's fused AdamW: the same number of parameters,
 * the same cores, in turns.
 */
final class AdamWBenchmark {
  /** Planes for the kernel, and a store on the tmpfs. */
  private static final int OWN_BYTES_PER_PARAMETER = 16;

  private static final long MORE_BYTES = 1L << 30;

  /**
   * DeepSpeed's cpu_lion with the cast of its weights, on two such cores, in parameters a second.
   */
  private static final double DEEPSPEED = 1.40e9;

  private static final double DEEPSPEED_GOAL = 2.2;

  private final PrintWriter out;
  private final long parameters;
  private final int threads;
  private final int rounds;
  private final Path directory;

  private AdamWBenchmark(
      PrintWriter out, long parameters, int threads, int rounds, Path directory) {
    this.out = out;
    this.parameters = parameters;
    this.threads = threads;
    this.rounds = rounds;
    this.directory = directory;
  }

  /** Measures as many parameters as are asked for, or as memory holds. */
  static void measure(PrintWriter out, long asked, int threads, int rounds, Path directory)
      throws IOException, InterruptedException {
    new AdamWBenchmark(out, fitting(asked, out), threads, rounds, directory).measure();
  }

  private static long fitting(long asked, PrintWriter out) throws IOException {
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
        WorkerThreads workers = new WorkerThreads(threads);
        Kernel kernel = Kernels.select("vector", UpdateRules.LION).kernel();
        TensorPlanes planes = TensorPlanes.anonymous(parameters, ElementType.BF16);
        BenchmarkStore store =
            BenchmarkStore.create(directory, parameters, GradientPlane.BF16, options)) {
      List<TimedTask> tasks = new ArrayList<>();
      tasks.add(TimedTask.of("AdamW, fused, with its casts", torch::step));
      tasks.add(TimedTask.of("AdamW, fused, alone", torch::stepAlone));
      for (Rounding rounding : Rounding.values()) {
        String word = Labels.of(rounding);
        tasks.add(
            TimedTask.of(
                "Lion, kernel, " + word,
                workers.pass(Sweep.of(kernel, planes, rounding), parameters)));
        tasks.add(
            new TimedTask(
                "Lion, store's step, " + word,
                () -> store.putGradient(planes.gradient()),
                () -> store.step(rounding)));
      }
      Warming.up(Duration.ofSeconds(2), tasks);
      print(InterleavedTimes.measure(tasks, rounds).compare(0, 0, tasks.size()));
    }
  }

  private void print(List<PairedTimes> rows) throws IOException {
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
    for (PairedTimes row : rows) {
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
