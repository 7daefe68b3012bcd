package dev.lionstore.store;

import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Undo;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StateView;
import dev.lionstore.state.StoreLayout;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.OptionalDouble;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Small stores with several tensors, two groups, a frozen tensor, an empty one and a scalar. */
final class Stores {
  /** Indexes of tensors, in name order. */
  static final int FROZEN = 1;

  static final int NORM = 2;
  static final int WEIGHT = 4;

  /** What {@link #dead} and {@link #afterOneStep} publish with their step. */
  static final byte[] POSITION = "after one step".getBytes(StandardCharsets.UTF_8);

  private final Path folder;
  private final StoreLayout layout;

  Stores(Path folder, GradientPlane gradientPlane, Rounding rounding) {
    this(folder, gradientPlane, rounding, 41);
  }

  /** With so many columns of 37 rows in the largest tensor. */
  Stores(Path folder, GradientPlane gradientPlane, Rounding rounding, long columns) {
    this(folder, UpdateRules.LION, gradientPlane, rounding, columns);
  }

  /** Of another rule. */
  Stores(
      Path folder, UpdateRule rule, GradientPlane gradientPlane, Rounding rounding, long columns) {
    this.folder = folder;
    this.layout =
        new StoreLayout(
            rule,
            rounding,
            11,
            gradientPlane,
            List.of(
                new ParameterGroup("norms", 0.5, OptionalDouble.of(0)),
                ParameterGroup.ofDefaults()),
            List.of(
                tensor("weight", TensorSpec.Role.TRAINABLE, 37L, columns),
                tensor("empty", TensorSpec.Role.TRAINABLE, 0L, 5L),
                tensor("scalar", TensorSpec.Role.TRAINABLE),
                tensor("frozen", TensorSpec.Role.FROZEN, 100L),
                new TensorSpec("norm", List.of(700L), "norms", TensorSpec.Role.TRAINABLE)));
  }

  private static TensorSpec tensor(String name, TensorSpec.Role role, Long... shape) {
    return new TensorSpec(name, List.of(shape), ParameterGroup.DEFAULT_NAME, role);
  }

  StoreLayout layout() {
    return layout;
  }

  static StepRequest request() {
    return StepRequest.of(UpdateRules.LION.settings().with("weight_decay", 0.1), 0.01);
  }

  Path create(String name, int chunkElements) throws IOException {
    return create(name, chunkElements, 1 << 12);
  }

  Path create(String name, int chunkElements, int positionCapacity) throws IOException {
    Path directory = folder.resolve(name);
    try (StoreBuilder builder =
        StoreBuilder.create(directory, layout, chunkElements, positionCapacity)) {
      for (int t = 0; t < layout.tensors().size(); t++) {
        builder.setMaster(t, values(t, 1000, ElementType.F32), directory);
      }
      builder.finish(0, new byte[0]);
    }
    return directory;
  }

  /** Creates a store, runs it and returns every byte of its state. */
  byte[] run(String name, int chunkElements, StoreOptions options, int steps) throws IOException {
    try (StateStore store = StateStore.open(create(name, chunkElements), options)) {
      for (int step = 0; step < steps; step++) {
        putGradients(store, step);
        store.step(request().withClipNorm(1));
      }
      return bytes(store);
    }
  }

  void putGradients(StateStore store, int round) {
    for (int t : trainable(store)) {
      store.gradients().put(t, gradient(store, t, round));
    }
  }

  /** Values that bfloat16 holds exactly. */
  GradientValues gradient(StateStore store, int tensor, int round) {
    GradientValues wide = values(tensor, round, ElementType.F32);
    for (long i = 0; i < wide.count(); i++) {
      int bits = wide.data().getAtIndex(ValueLayout.JAVA_INT, i) & 0xFFFF0000;
      wide.data().setAtIndex(ValueLayout.JAVA_INT, i, bits);
    }
    return wide;
  }

  GradientValues gradientWith(StateStore store, int tensor, int index, float value) {
    GradientValues gradient = gradient(store, tensor, 0);
    gradient.data().setAtIndex(ValueLayout.JAVA_FLOAT, index, value);
    return gradient;
  }

  GradientValues sum(StateStore store, int tensor, int roundA, int roundB) {
    GradientValues a = gradient(store, tensor, roundA);
    GradientValues b = gradient(store, tensor, roundB);
    for (long i = 0; i < a.count(); i++) {
      a.data().setAtIndex(ValueLayout.JAVA_FLOAT, i, a.get(i) + b.get(i));
    }
    return a;
  }

  int[] trainable(StateStore store) {
    List<TensorSpec> tensors = store.layout().tensors();
    return IntStream.range(0, tensors.size()).filter(t -> tensors.get(t).trainable()).toArray();
  }

  static byte[] bytes(StateView view) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    for (int t = 0; t < view.layout().tensors().size(); t++) {
      for (Plane plane : view.layout().planes()) {
        out.writeBytes(view.values(plane, t).toArray(ValueLayout.JAVA_BYTE));
      }
    }
    return out.toByteArray();
  }

  /** How many units are saved and changed in a step of every trainable tensor. */
  int unitsOfAStep() {
    return layout.tensors().stream()
        .filter(TensorSpec::trainable)
        .mapToInt(tensor -> Math.toIntExact(Math.ceilDiv(tensor.count(), (long) Undo.UNIT)))
        .sum();
  }

  /** A store whose writer died in step 1, after so many undo units; and the expected bits. */
  Path dead(String name, int units) throws IOException {
    Path directory = create(name, 256);
    StateStore store =
        StateStore.open(directory, StoreOptions.defaults().withThreads(1), new DyingParts(units));
    try (store) {
      putGradients(store, 0);
      assertThrows(DyingParts.Death.class, () -> store.step(request().withPosition(POSITION)));
    }
    return directory;
  }

  /** The state after one step that nothing interrupts. */
  byte[] afterOneStep(String name) throws IOException {
    try (StateStore store = StateStore.open(create(name, 256))) {
      putGradients(store, 0);
      store.step(request().withPosition(POSITION));
      return bytes(store);
    }
  }

  static Path copy(Path from, Path to) throws IOException {
    Files.createDirectories(to);
    try (Stream<Path> files = Files.list(from)) {
      for (Path file : files.toList()) {
        Files.copy(file, to.resolve(file.getFileName()), StandardCopyOption.REPLACE_EXISTING);
      }
    }
    return to;
  }

  private GradientValues values(int tensor, int round, ElementType type) {
    TensorSpec spec = layout.tensors().get(tensor);
    SplittableRandom random = new SplittableRandom(spec.name().hashCode() * 7919L + round);
    MemorySegment data = Arena.ofAuto().allocate(spec.count() * type.bytes(), 4);
    for (long i = 0; i < spec.count(); i++) {
      data.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) random.nextGaussian());
    }
    return new GradientValues(type, data);
  }
}
