package dev.lionstore.crash.kill;

import dev.lionstore.ElementType;
import dev.lionstore.TensorSpec;
import dev.lionstore.crash.probe.ProbedStores;
import dev.lionstore.crash.probe.ProtocolPoints;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StepRequest;
import dev.lionstore.store.StoreOptions;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The processes of {@link RecoveryTime}: one that dies in a step, one that finishes it, and one
 * that says what a step takes.
 */
final class RecoveryWorker {
  /** A bf16 of two such bytes is 0.0115. */
  static final byte VALUE_BYTE = 0x3C;

  static final String DIE = "die";
  static final String RECOVER = "recover";
  static final String STEP = "step";

  private static final int STEPS = 3;

  /** Until then the kernel is being compiled. */
  private static final long WARM_NANOS = 10_000_000_000L;

  private RecoveryWorker() {}

  /** Takes the store and what to do; {@code die} after so many chunks. */
  public static void main(String[] arguments) throws IOException {
    Path directory = Path.of(arguments[0]);
    switch (arguments[1]) {
      case DIE -> dieInAStep(directory, Integer.parseInt(arguments[2]));
      case RECOVER -> recover(directory);
      case STEP -> measureSteps(directory);
      default -> throw new IllegalArgumentException(arguments[1]);
    }
  }

  private static void dieInAStep(Path directory, int fatalChunks) throws IOException {
    try (StateStore store =
        ProbedStores.openWithProgress(
            directory, StoreOptions.defaults(), new DeathAfterChunks(fatalChunks))) {
      step(store);
    }
    throw new IllegalStateException("the step has fewer than " + fatalChunks + " chunks");
  }

  /** Prints the nanoseconds of opening. */
  private static void recover(Path directory) throws IOException {
    long begin = System.nanoTime();
    try (StateStore store = StateStore.open(directory)) {
      System.out.println(System.nanoTime() - begin);
      System.out.println(store.step());
    }
  }

  /**
   * Prints nanoseconds: of the fastest step, and of the first one after the store was opened again,
   * on pages that this process has not touched since.
   */
  private static void measureSteps(Path directory) throws IOException {
    try (StateStore store = StateStore.open(directory)) {
      long fastest = Long.MAX_VALUE;
      long end = System.nanoTime() + WARM_NANOS;
      for (int step = 0; step < STEPS || System.nanoTime() - end < 0; step++) {
        fastest = Math.min(fastest, step(store));
      }
      System.out.println(fastest);
    }
    try (StateStore store = StateStore.open(directory)) {
      System.out.println(step(store));
    }
  }

  /** Returns the nanoseconds of the step itself. */
  private static long step(StateStore store) throws IOException {
    List<TensorSpec> tensors = store.layout().tensors();
    long largest = tensors.stream().mapToLong(TensorSpec::count).max().orElseThrow();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment values = arena.allocate(largest * ElementType.BF16.bytes(), Long.BYTES);
      values.fill(VALUE_BYTE);
      for (int t = 0; t < tensors.size(); t++) {
        long bytes = tensors.get(t).count() * ElementType.BF16.bytes();
        store.gradients().put(t, new GradientValues(ElementType.BF16, values.asSlice(0, bytes)));
      }
      long begin = System.nanoTime();
      store.step(StepRequest.of(UpdateRules.LION.settings(), 1e-4));
      return System.nanoTime() - begin;
    }
  }

  private static final class DeathAfterChunks implements ProtocolPoints {
    private final AtomicInteger left;
    private final SelfKill kill = new SelfKill();

    DeathAfterChunks(int chunks) {
      this.left = new AtomicInteger(chunks);
    }

    @Override
    public void reached(String name) {
      if (name.equals("chunk: stamped") && left.decrementAndGet() == 0) {
        kill.kill();
      }
    }

    @Override
    public void intended(long nextStep) {}
  }
}
