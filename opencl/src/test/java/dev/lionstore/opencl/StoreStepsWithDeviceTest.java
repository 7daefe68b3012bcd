package dev.lionstore.opencl;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.DeviceOptions;
import dev.lionstore.kernel.DeviceOptions.Memory;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StepRequest;
import dev.lionstore.store.StepResult;
import dev.lionstore.store.StoreBuilder;
import dev.lionstore.store.StoreOptions;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Whole stores, with tensors of all sizes, against the scalar reference. */
class StoreStepsWithDeviceTest {
  private static final int STEPS = 3;

  @TempDir Path folder;

  static Stream<Arguments> cases() {
    return Stream.of(Memory.IN_PLACE, Memory.STREAMING, Memory.RESIDENT)
        .flatMap(memory ->
            Stream.of(GradientPlane.values())
                .flatMap(plane ->
                    Stream.of(Rounding.values())
                        .flatMap(rounding ->
                            rules(plane, rounding)
                                .map(rule -> Arguments.of(memory, plane, rounding, rule)))));
  }

  /** Once for each way of a device, one with blocks. */
  private static Stream<UpdateRule> rules(GradientPlane plane, Rounding rounding) {
    boolean both = plane == GradientPlane.BF16 && rounding == Rounding.STOCHASTIC;
    Stream<UpdateRule> blocks = Stream.of(UpdateRules.required("adamw-8bit"));
    return Stream.concat(Stream.of(UpdateRules.LION), both ? blocks : Stream.empty());
  }

  @ParameterizedTest
  @MethodSource("cases")
  void aStoreHasTheReferencesBits(
      Memory memory, GradientPlane plane, Rounding rounding, UpdateRule rule) throws IOException {
    StoreOptions device =
        StoreOptions.defaults()
            .withThreads(2)
            .withBackend("opencl:pthread")
            .withDevice(DeviceOptions.defaults().withMemory(memory));
    StoreOptions scalar = StoreOptions.defaults().withBackend("scalar");
    StoreLayout layout = layout(plane, rounding, rule);
    byte[] expected = run("expected", scalar, layout);
    byte[] found = run("found", device, layout);
    assertArrayEquals(expected, found);
  }

  private byte[] run(String name, StoreOptions options, StoreLayout layout) throws IOException {
    Path directory = folder.resolve(name);
    create(directory, layout);
    try (StateStore store = StateStore.open(directory, options)) {
      boolean isDevice = options.backend().startsWith("opencl");
      assertEquals(
          isDevice,
          store.selection().reason().contains("OpenCL device"),
          store.selection().reason());
      for (int step = 0; step < STEPS; step++) {
        step(store, step);
      }
      return bytes(store);
    }
  }

  private static StoreLayout layout(GradientPlane plane, Rounding rounding, UpdateRule rule) {
    return new StoreLayout(
        rule,
        rounding,
        9,
        plane,
        List.of(ParameterGroup.ofDefaults()),
        List.of(
            tensor("large", 300_001L),
            tensor("one", 1L),
            tensor("none", 0L),
            tensor("a chunk", 65_536L),
            tensor("a chunk and one", 65_537L),
            tensor("small", 207L),
            tensor("odd", 13L, 317L)));
  }

  private static void create(Path directory, StoreLayout layout) throws IOException {
    try (StoreBuilder builder = StoreBuilder.create(directory, layout)) {
      for (int t = 0; t < layout.tensors().size(); t++) {
        builder.setMaster(t, values(layout, t, -1, ElementType.F32), directory);
      }
      builder.finish(0, new byte[0]);
    }
  }

  private static TensorSpec tensor(String name, Long... shape) {
    return new TensorSpec(
        name, List.of(shape), ParameterGroup.DEFAULT_NAME, TensorSpec.Role.TRAINABLE);
  }

  /** A store without a gradient plane gets gradients of other types, too. */
  private static void step(StateStore store, int step) throws IOException {
    ElementType[] types = ElementType.values();
    boolean any = store.layout().gradientPlane() == GradientPlane.NONE;
    for (int t = 0; t < store.layout().tensors().size(); t++) {
      ElementType type = any ? types[(t + step) % types.length] : ElementType.BF16;
      store.gradients().put(t, values(store.layout(), t, step, type));
    }
    StepResult result =
        store.step(
            StepRequest.of(store.layout().rule().settings().with("weight_decay", 0.1), 0.01));
    assertTrue(result instanceof StepResult.Applied, result::toString);
  }

  @SuppressWarnings("MustBeClosedChecker") // the collector's
  private static GradientValues values(StoreLayout layout, int tensor, int step, ElementType type) {
    TensorSpec spec = layout.tensors().get(tensor);
    SplittableRandom random = new SplittableRandom(spec.name().hashCode() * 7919L + step);
    // One byte off: the caller's memory need not be aligned.
    MemorySegment data =
        Arena.ofAuto().allocate(spec.count() * type.bytes() + 1, 8).asSlice(step < 1 ? 0 : 1);
    data = data.asSlice(0, spec.count() * type.bytes());
    for (long i = 0; i < spec.count(); i++) {
      float value = (float) random.nextGaussian();
      switch (type) {
        case F32 -> data.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 4 * i, value);
        case F16 -> data.set(ValueLayout.JAVA_SHORT_UNALIGNED, 2 * i, Float.floatToFloat16(value));
        case BF16 ->
            data.set(
                ValueLayout.JAVA_SHORT_UNALIGNED,
                2 * i,
                (short) (Float.floatToRawIntBits(value) >>> 16));
      }
    }
    return new GradientValues(type, data);
  }

  private static byte[] bytes(StateStore store) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    for (int t = 0; t < store.layout().tensors().size(); t++) {
      for (Plane plane : store.layout().planes()) {
        out.writeBytes(store.values(plane, t).toArray(ValueLayout.JAVA_BYTE));
      }
    }
    return out.toByteArray();
  }
}
