package dev.lionstore.tuning;

import dev.lionstore.ElementType;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StepRequest;
import dev.lionstore.store.StoreBuilder;
import dev.lionstore.store.StoreOptions;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/** How fast a store's whole step is, with a store of one tensor that is there for nothing else. */
record StepRate(Path directory, UpdateRule rule) {
  /** 64 MiB of state and gradients: beyond the caches of most machines. */
  static final long ELEMENTS = 1L << 23;

  /** Steps are taken until none has been a twentieth faster for so long. */
  private static final long PATIENCE_NANOS = TimeUnit.MILLISECONDS.toNanos(700);

  private static final long MOST_NANOS = TimeUnit.SECONDS.toNanos(8);
  private static final double FASTER = 0.95;

  /** A bf16 of two such bytes is 0.0115. */
  private static final byte VALUE_BYTE = 0x3C;

  /** Makes the store. */
  static StepRate create(Path directory, StoreLayout layout) throws IOException {
    try (StoreBuilder builder = StoreBuilder.create(directory, layout)) {
      layout.planes().forEach(plane -> builder.values(plane, 0).fill(VALUE_BYTE));
      builder.finish(0, new byte[0]);
    }
    return new StepRate(directory, layout.rule());
  }

  /**
   * Takes steps.
   *
   * @return parameters per second of the fastest one
   */
  double measure(StoreOptions options) throws IOException {
    try (StateStore store = StateStore.open(directory, options);
        Arena arena = Arena.ofShared()) {
      MemorySegment gradient = arena.allocate(ELEMENTS * ElementType.BF16.bytes(), Long.BYTES);
      gradient.fill(VALUE_BYTE);
      GradientValues values = new GradientValues(ElementType.BF16, gradient);
      StepRequest request = StepRequest.of(rule.settings(), 0);
      long begin = System.nanoTime();
      long improved = begin;
      long fastest = Long.MAX_VALUE;
      for (long now = begin;
          now - improved < PATIENCE_NANOS && now - begin < MOST_NANOS;
          now = System.nanoTime()) {
        store.gradients().put(0, values);
        long start = System.nanoTime();
        store.step(request);
        long nanos = System.nanoTime() - start;
        if (nanos < FASTER * fastest) {
          improved = System.nanoTime();
        }
        fastest = Math.min(fastest, nanos);
      }
      return ELEMENTS * 1e9 / fastest;
    }
  }
}
