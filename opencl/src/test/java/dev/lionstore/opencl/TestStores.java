package dev.lionstore.opencl;

import dev.lionstore.ElementType;
import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StepRequest;
import dev.lionstore.store.StepResult;
import dev.lionstore.store.StoreBuilder;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.zip.CRC32C;

/** A store of one tensor and what is done to it, the same every time. */
final class TestStores {
  private TestStores() {}

  /** Makes a store at step 0, with a bf16 gradient plane and stochastic rounding. */
  static void create(Path directory, long count) throws IOException {
    create(directory, UpdateRules.LION, count);
  }

  /** The same of another rule. */
  static void create(Path directory, UpdateRule rule, long count) throws IOException {
    StoreLayout layout =
        new StoreLayout(
            rule,
            Rounding.STOCHASTIC,
            9,
            GradientPlane.BF16,
            List.of(ParameterGroup.ofDefaults()),
            List.of(
                new TensorSpec(
                    "weight",
                    List.of(count),
                    ParameterGroup.DEFAULT_NAME,
                    TensorSpec.Role.TRAINABLE)));
    try (StoreBuilder builder = StoreBuilder.create(directory, layout)) {
      fill(builder.values(Plane.WEIGHTS, 0), 1);
      fill(builder.values(Plane.REMAINDER, 0), 2);
      builder.finish(0, new byte[0]);
    }
  }

  /** Takes it one step further. */
  static void step(StateStore store) throws IOException {
    try (Arena arena = Arena.ofShared()) {
      long count = store.layout().tensors().getFirst().count();
      MemorySegment data = arena.allocate(2 * count, Long.BYTES);
      fill(data, 100 + store.step());
      store.gradients().put(0, new GradientValues(ElementType.BF16, data));
      StepResult result =
          store.step(
              StepRequest.of(store.layout().rule().settings().with("weight_decay", 0.1), 0.01));
      if (!(result instanceof StepResult.Applied)) {
        throw new IllegalStateException(result.toString());
      }
    }
  }

  /** Of everything in it. */
  static long checksum(StateStore store) {
    CRC32C crc = new CRC32C();
    for (Plane plane : store.layout().planes()) {
      crc.update(store.values(plane, 0).asByteBuffer());
    }
    return crc.getValue() << 16 | store.step();
  }

  /** Finite bfloat16 around 1. */
  private static void fill(MemorySegment values, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    for (long i = 0; i < values.byteSize() / 2; i++) {
      short value = (short) (0x3F00 | (random.nextInt() & 0x80FF));
      values.setAtIndex(ValueLayout.JAVA_SHORT, i, value);
    }
  }
}
