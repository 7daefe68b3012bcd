package dev.lionstore.measure.kernel;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.measure.timing.PairedTimes;
import dev.lionstore.measure.timing.Proc;
import dev.lionstore.measure.workload.BenchmarkStore;
import dev.lionstore.measure.workload.Samples;
import dev.lionstore.store.StoreOptions;
import java.io.IOException;
import java.io.PrintWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/**
 * What a parameter costs in stores of different sizes and in stores of more and more tensors, each
 * in turns with one store that stays the same.
 */
final class ScalingBenchmark {
  private static final long MEBI = 1 << 20;
  private static final List<Integer> MEBI_PARAMETERS = List.of(1, 4, 16, 64, 256, 1024, 2048);
  private static final List<Integer> TENSORS = List.of(1, 300, 10_000);

  /** A store with its gradient plane, and the gradient of one tensor. */
  private static final int BYTES_PER_PARAMETER = 10;

  private static final long MORE_BYTES = 1L << 30;
  private static final int WARM_UP_ROUNDS = 2;

  private final PrintWriter out;
  private final Path directory;
  private final int pairs;
  private final BenchmarkStore.Tensors reference;

  /**
   * A row.
   *
   * @param name what is measured
   * @param tensors of its store
   */
  private record Row(String name, BenchmarkStore.Tensors tensors) {
    long parameters() {
      return tensors.count() * tensors.elements();
    }
  }

  ScalingBenchmark(PrintWriter out, Path directory, int pairs, long referenceParameters) {
    this.out = out;
    this.directory = directory;
    this.pairs = pairs;
    this.reference = new BenchmarkStore.Tensors(1, referenceParameters);
  }

  /**
   * Measures.
   *
   * @param mostMebi parameters of the largest store, in units of 1048576
   * @param total parameters of the stores of many tensors
   */
  void measure(int mostMebi, long total) throws IOException {
    List<Integer> sizes = MEBI_PARAMETERS.stream().filter(size -> size <= mostMebi).toList();
    out.printf(
        Locale.ROOT,
        "%s, %d threads; stores with a bf16 gradient plane in %s; %d pairs with a store of one"
            + " tensor of %d Mi parameters; JDK %s%n%n| store | cost of a parameter, times the"
            + " other's | 10 %% … 90 %% | ns | the other's ns |%n|---|---|---|---|---|%n",
        Proc.cpuModel(),
        StoreOptions.defaults().threads(),
        directory,
        pairs,
        reference.elements() / MEBI,
        Runtime.version());
    try (Measured beside = new Measured(directory, reference, reference.elements())) {
      for (int size : sizes) {
        measure(
            beside,
            new Row("1 tensor, " + size + " Mi", new BenchmarkStore.Tensors(1, size * MEBI)));
      }
      for (int tensors : TENSORS) {
        measure(
            beside,
            new Row(
                String.format(
                    Locale.ROOT,
                    "%,d %s, %d Mi",
                    tensors,
                    tensors == 1 ? "tensor" : "tensors",
                    total / MEBI),
                new BenchmarkStore.Tensors(tensors, Math.max(1, total / tensors))));
      }
    }
  }

  private void measure(Measured beside, Row row) throws IOException {
    long needed = row.parameters() * BYTES_PER_PARAMETER + MORE_BYTES;
    long available = Proc.availableMemory();
    if (available > 0 && available < needed) {
      out.printf(
          Locale.ROOT,
          "| %s | needs %.1f GB of memory, %.1f GB are free | | | |%n",
          row.name(),
          needed / 1e9,
          available / 1e9);
      return;
    }
    try (Measured measured = new Measured(directory, row.tensors(), reference.elements())) {
      long[] other = new long[pairs];
      long[] own = new long[pairs];
      for (int i = -WARM_UP_ROUNDS; i < pairs; i++) {
        int at = Math.max(0, i);
        if (i % 2 == 0) {
          other[at] = beside.cost();
          own[at] = measured.cost();
        } else {
          own[at] = measured.cost();
          other[at] = beside.cost();
        }
      }
      PairedTimes cost = PairedTimes.of(row.name(), own, other); // the other way round: cost
      out.printf(
          Locale.ROOT,
          "| %s | %.3f | %.3f … %.3f | %.3f | %.3f |%n",
          row.name(),
          cost.share(0.5),
          cost.share(0.1),
          cost.share(0.9),
          cost.medianRoofNanos() / 1e6,
          cost.medianNanos() / 1e6);
    }
  }

  /** A store whose steps are repeated until they have stepped as many parameters as another's. */
  private static final class Measured implements AutoCloseable {
    private final Arena arena = Arena.ofShared();
    private final BenchmarkStore store;
    private final GradientValues gradient;
    private final long parameters;
    private final int repeats;

    @SuppressWarnings("MustBeClosedChecker") // closed by close()
    Measured(Path directory, BenchmarkStore.Tensors tensors, long least) throws IOException {
      parameters = tensors.count() * tensors.elements();
      repeats = Math.toIntExact(Math.max(1, least / parameters));
      MemorySegment values = arena.allocate(tensors.elements() * Short.BYTES, Long.BYTES);
      Samples.fillGradient(ElementType.BF16, values, 3);
      gradient = new GradientValues(ElementType.BF16, values);
      store =
          BenchmarkStore.create(
              directory,
              tensors,
              GradientPlane.BF16,
              StoreOptions.defaults().withBackend("vector"));
    }

    /** Of a parameter, in femtoseconds. */
    long cost() throws IOException {
      long nanos = 0;
      for (int i = 0; i < repeats; i++) {
        store.putGradient(gradient);
        long start = System.nanoTime();
        store.step(Rounding.NEAREST);
        nanos += System.nanoTime() - start;
      }
      return Math.round(1e6 * nanos / ((double) repeats * parameters));
    }

    @Override
    public void close() throws IOException {
      try (arena) {
        store.close();
      }
    }
  }
}
