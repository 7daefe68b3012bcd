package dev.lionstore.benchmarks;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.rule.Lion;
import dev.lionstore.rule.LionConfig;
import dev.lionstore.rule.Plane;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StepRequest;
import dev.lionstore.store.StepResult;
import dev.lionstore.store.StoreBuilder;
import dev.lionstore.store.StoreLayout;
import dev.lionstore.store.StoreOptions;
import dev.lionstore.store.UndoSwitch;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/** A store of one tensor in a new folder, filled; closing deletes it. */
final class BenchmarkStore implements AutoCloseable {
  private static final StepRequest REQUEST =
      StepRequest.of(LionConfig.defaults().withWeightDecay(0.1), 1e-4);

  private final Path folder;
  private final UndoSwitch undo;
  private final StateStore store;

  private BenchmarkStore(Path folder, UndoSwitch undo, StateStore store) {
    this.folder = folder;
    this.undo = undo;
    this.store = store;
  }

  static BenchmarkStore create(Path parent, long count, GradientPlane plane, StoreOptions options)
      throws IOException {
    Path folder = Files.createTempDirectory(parent, "lionstore-benchmark-");
    try {
      Path directory = folder.resolve("store");
      build(directory, count, plane);
      UndoSwitch undo = new UndoSwitch();
      return new BenchmarkStore(folder, undo, undo.open(directory, options));
    } catch (IOException | RuntimeException | Error e) {
      delete(folder);
      throw e;
    }
  }

  static void build(Path directory, long count, GradientPlane plane) throws IOException {
    TensorSpec tensor =
        new TensorSpec(
            "weight", List.of(count), ParameterGroup.DEFAULT_NAME, TensorSpec.Role.TRAINABLE);
    StoreLayout layout =
        new StoreLayout(
            Lion.RULE,
            Rounding.NEAREST,
            1,
            plane,
            List.of(ParameterGroup.ofDefaults()),
            List.of(tensor));
    try (StoreBuilder builder = StoreBuilder.create(directory, layout)) {
      Samples.fillState(
          builder.values(Plane.WEIGHTS, 0),
          builder.values(Plane.REMAINDER, 0),
          builder.values(Lion.MOMENTUM, 0));
      builder.finish(0, new byte[0]);
    }
  }

  /** Whether saving can be switched off. */
  boolean canStepUnsaved() {
    return store.kernel().kernel().unit() != Kernel.Unit.CHUNK;
  }

  /** The gradients that a plane holds without a loss. */
  static ElementType gradientType(GradientPlane plane) {
    return plane == GradientPlane.F32 ? ElementType.F32 : ElementType.BF16;
  }

  void putGradient(GradientValues gradient) {
    store.putGradient(0, gradient);
  }

  /** Puts a gradient and says whether the step to come saves what it changes. */
  void putGradient(GradientValues gradient, boolean saving) {
    putGradient(gradient);
    undo.set(saving);
  }

  StepResult step(Rounding rounding) throws IOException {
    StepResult result = store.step(REQUEST.withRounding(rounding));
    if (!(result instanceof StepResult.Applied)) {
      throw new IllegalStateException("refused: " + result);
    }
    return result;
  }

  /** Whether its planes have not seen the last step: a device keeps the state. */
  boolean isAhead() {
    return store.step() > store.planesStep();
  }

  /** The values of every plane of the state. */
  List<MemorySegment> state() {
    return Stream.of(Plane.WEIGHTS, Plane.REMAINDER, Lion.MOMENTUM)
        .map(plane -> store.values(plane, 0))
        .toList();
  }

  @Override
  public void close() throws IOException {
    store.close();
    delete(folder);
  }

  /** Deletes a folder and everything in it. */
  static void delete(Path folder) throws IOException {
    try (Stream<Path> tree = Files.walk(folder)) {
      for (Path path : tree.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }
}
