package dev.lionstore.measure.disk;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.measure.workload.BenchmarkStore;
import dev.lionstore.measure.workload.Samples;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StepRequest;
import dev.lionstore.store.StepResult;
import dev.lionstore.store.StoreBuilder;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;

/**
 * A store of many tensors in a new folder, filled, that is trained with one gradient for all of
 * them; closing deletes it.
 */
final class TrainingStore implements AutoCloseable {
  private static final int TENSOR_ELEMENTS = 16 << 20;

  /** Odd, so that no two blocks of a snapshot hold the same. */
  private static final int PATTERN_ELEMENTS = 1_000_003;

  private static final StepRequest REQUEST =
      StepRequest.of(UpdateRules.LION.settings().with("weight_decay", 0.1), 1e-4);

  private final Path folder;
  private final StateStore store;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment gradient;

  /** What forward and backward do with a core. */
  enum Load {
    /** None: a GPU works. */
    WAITING,
    /** They use one. */
    BUSY
  }

  /**
   * Forward and backward.
   *
   * @param load on the host
   * @param seconds that they take
   */
  record Passes(Load load, double seconds) {
    void run() throws InterruptedException {
      long nanos = Math.round(seconds * 1e9);
      long end = System.nanoTime() + nanos;
      switch (load) {
        case WAITING -> TimeUnit.NANOSECONDS.sleep(nanos);
        case BUSY -> {
          while (System.nanoTime() - end < 0) {
            Thread.onSpinWait();
          }
        }
      }
    }
  }

  private TrainingStore(Path folder, StateStore store) {
    this.folder = folder;
    this.store = store;
    long largest =
        store.layout().tensors().stream().mapToLong(TensorSpec::count).max().orElseThrow();
    this.gradient = arena.allocate(largest * Short.BYTES, Long.BYTES);
    Samples.fillGradient(ElementType.BF16, gradient, 3);
  }

  static TrainingStore create(Path parent, long parameters) throws IOException {
    Path folder = Files.createTempDirectory(parent, "lionstore-benchmark-");
    try {
      Path directory = folder.resolve("store");
      build(directory, tensors(parameters));
      return new TrainingStore(folder, StateStore.open(directory));
    } catch (IOException | RuntimeException | Error e) {
      BenchmarkStore.delete(folder);
      throw e;
    }
  }

  private static List<TensorSpec> tensors(long parameters) {
    List<TensorSpec> tensors = new ArrayList<>();
    for (long first = 0; first < parameters; first += TENSOR_ELEMENTS) {
      tensors.add(
          new TensorSpec(
              String.format(Locale.ROOT, "layer-%06d", tensors.size()),
              List.of(Math.min(TENSOR_ELEMENTS, parameters - first)),
              ParameterGroup.DEFAULT_NAME,
              TensorSpec.Role.TRAINABLE));
    }
    return tensors;
  }

  private static void build(Path directory, List<TensorSpec> tensors) throws IOException {
    StoreLayout layout =
        new StoreLayout(
            UpdateRules.LION,
            Rounding.NEAREST,
            1,
            GradientPlane.NONE,
            List.of(ParameterGroup.ofDefaults()),
            tensors);
    List<Plane> planes =
        List.of(Plane.WEIGHTS, Plane.REMAINDER, UpdateRules.LION.statePlanes().getFirst());
    try (Arena arena = Arena.ofConfined();
        StoreBuilder builder = StoreBuilder.create(directory, layout)) {
      List<MemorySegment> patterns = new ArrayList<>();
      planes.forEach(_ -> patterns.add(arena.allocate((long) PATTERN_ELEMENTS * Short.BYTES)));
      Samples.fillState(patterns.get(0), patterns.get(1), patterns.get(2));
      for (int t = 0; t < tensors.size(); t++) {
        for (int p = 0; p < planes.size(); p++) {
          long begin = (long) t * TENSOR_ELEMENTS * Short.BYTES;
          repeat(patterns.get(p), begin, builder.values(planes.get(p), t));
        }
      }
      builder.finish(0, new byte[0]);
    }
  }

  private static void repeat(MemorySegment pattern, long begin, MemorySegment to) {
    long at = 0;
    while (at < to.byteSize()) {
      long from = (begin + at) % pattern.byteSize();
      long bytes = Math.min(pattern.byteSize() - from, to.byteSize() - at);
      MemorySegment.copy(pattern, from, to, at, bytes);
      at += bytes;
    }
  }

  StateStore store() {
    return store;
  }

  /** The folder that holds it. */
  Path folder() {
    return folder;
  }

  /**
   * Steps every tensor.
   *
   * @return what that takes, in nanoseconds
   */
  long step() throws IOException {
    long begin = System.nanoTime();
    for (int t = 0; t < store.layout().tensors().size(); t++) {
      long bytes = store.layout().tensors().get(t).count() * Short.BYTES;
      store.gradients().put(t, new GradientValues(ElementType.BF16, gradient.asSlice(0, bytes)));
    }
    StepResult result = store.step(REQUEST);
    if (!(result instanceof StepResult.Applied)) {
      throw new IllegalStateException("refused: " + result);
    }
    return System.nanoTime() - begin;
  }

  @Override
  public void close() throws IOException {
    try (arena) {
      store.close();
      BenchmarkStore.delete(folder);
    }
  }
}
