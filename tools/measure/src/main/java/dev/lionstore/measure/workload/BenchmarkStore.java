package dev.lionstore.measure.workload;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StepRequest;
import dev.lionstore.store.StepResult;
import dev.lionstore.store.StoreBuilder;
import dev.lionstore.store.StoreOptions;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** A store of equal tensors in a new folder, filled; closing deletes it. */
public final class BenchmarkStore implements AutoCloseable {
  private static final StepRequest REQUEST =
      StepRequest.of(UpdateRules.LION.settings().with("weight_decay", 0.1), 1e-4);

  private static final List<Plane> STATE =
      List.of(Plane.WEIGHTS, Plane.REMAINDER, UpdateRules.LION.statePlanes().getFirst());

  private final Path folder;
  private final StateStore store;

  /** Opens a store. */
  public interface Opener {
    /** As {@link StateStore#open(Path, StoreOptions)}. */
    StateStore open(Path directory, StoreOptions options) throws IOException;
  }

  private BenchmarkStore(Path folder, StateStore store) {
    this.folder = folder;
    this.store = store;
  }

  /** Makes one of a single tensor in a new folder. */
  public static BenchmarkStore create(
      Path parent, long count, GradientPlane plane, StoreOptions options) throws IOException {
    return create(parent, count, plane, options, StateStore::open);
  }

  /** Makes one of a single tensor in a new folder, and opens it in a way of its own. */
  public static BenchmarkStore create(
      Path parent, long count, GradientPlane plane, StoreOptions options, Opener opener)
      throws IOException {
    return create(parent, options, opener, directory -> build(directory, count, plane));
  }

  /** Makes one of many tensors in a new folder. */
  public static BenchmarkStore create(
      Path parent, Tensors tensors, GradientPlane plane, StoreOptions options) throws IOException {
    return create(parent, options, StateStore::open, directory -> build(directory, tensors, plane));
  }

  /** Makes a store's files. */
  private interface Builder {
    void build(Path directory) throws IOException;
  }

  private static BenchmarkStore create(
      Path parent, StoreOptions options, Opener opener, Builder builder) throws IOException {
    Path folder = Files.createTempDirectory(parent, "lionstore-benchmark-");
    try {
      Path directory = folder.resolve("store");
      builder.build(directory);
      return new BenchmarkStore(folder, opener.open(directory, options));
    } catch (IOException | RuntimeException | Error e) {
      delete(folder);
      throw e;
    }
  }

  /**
   * Tensors of the same size.
   *
   * @param count how many
   * @param elements of each
   */
  public record Tensors(int count, long elements) {}

  /** Makes a store of a single tensor. */
  public static void build(Path directory, long count, GradientPlane plane) throws IOException {
    build(directory, new Tensors(1, count), plane);
  }

  private static void build(Path directory, Tensors tensors, GradientPlane plane)
      throws IOException {
    List<TensorSpec> specs =
        IntStream.range(0, tensors.count())
            .mapToObj(t ->
                new TensorSpec(
                    String.format(Locale.ROOT, "weight-%06d", t),
                    List.of(tensors.elements()),
                    ParameterGroup.DEFAULT_NAME,
                    TensorSpec.Role.TRAINABLE))
            .toList();
    StoreLayout layout =
        new StoreLayout(
            UpdateRules.LION,
            Rounding.NEAREST,
            1,
            plane,
            List.of(ParameterGroup.ofDefaults()),
            specs);
    try (StoreBuilder builder = StoreBuilder.create(directory, layout)) {
      Samples.fillState(
          builder.values(Plane.WEIGHTS, 0),
          builder.values(Plane.REMAINDER, 0),
          builder.values(UpdateRules.LION.statePlanes().getFirst(), 0));
      for (int t = 1; t < tensors.count(); t++) {
        for (Plane state : STATE) {
          builder.values(state, t).copyFrom(builder.values(state, 0));
        }
      }
      builder.finish(0, new byte[0]);
    }
  }

  /** Whether saving can be switched off. */
  public boolean canStepUnsaved() {
    return store.selection().kernel().unit() != Kernel.Unit.CHUNK;
  }

  /** The gradients that a plane holds without a loss. */
  public static ElementType gradientType(GradientPlane plane) {
    return plane == GradientPlane.F32 ? ElementType.F32 : ElementType.BF16;
  }

  /** Puts a gradient for each tensor. */
  public void putGradient(GradientValues gradient) {
    for (int t = 0; t < store.layout().tensors().size(); t++) {
      store.gradients().put(t, gradient);
    }
  }

  /** Adds a gradient to each tensor's. */
  public void accumulateGradient(GradientValues gradient) {
    for (int t = 0; t < store.layout().tensors().size(); t++) {
      store.gradients().accumulate(t, gradient);
    }
  }

  /** Takes one step. */
  public StepResult step(Rounding rounding) throws IOException {
    StepResult result = store.step(REQUEST.withRounding(rounding));
    if (!(result instanceof StepResult.Applied)) {
      throw new IllegalStateException("refused: " + result);
    }
    return result;
  }

  /** Whether its planes have not seen the last step: a device keeps the state. */
  public boolean isAhead() {
    return store.step() > store.planesStep();
  }

  /** The first tensor's values in every plane of the state. */
  public List<MemorySegment> state() {
    return STATE.stream().map(plane -> store.values(plane, 0)).toList();
  }

  @Override
  public void close() throws IOException {
    store.close();
    delete(folder);
  }

  /** Deletes a folder and everything in it. */
  public static void delete(Path folder) throws IOException {
    try (Stream<Path> tree = Files.walk(folder)) {
      for (Path path : tree.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }
}
