package dev.lionstore.opencl;

import dev.lionstore.kernel.StoreMemory;
import dev.lionstore.opencl.driver.Context;
import dev.lionstore.opencl.driver.DeviceBuffer;
import dev.lionstore.opencl.driver.KernelCall;
import dev.lionstore.opencl.driver.Program;
import dev.lionstore.opencl.driver.Queue;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Proves that a device works on mapped files themselves and on no copy of them: each writes what
 * the other must see without any mapping in between. It writes to the scratch bytes of the files
 * (see {@link StoreMemory}) and clears them.
 */
final class ZeroCopyProbe implements AutoCloseable {
  private static final int ROUNDS = 3;

  /** Until the device gives up: milliseconds on a CPU. */
  private static final int LOOKS = 1 << 22;

  /** The CPU may be busy with other programs while the device looks. */
  private static final long PATIENCE_NANOS = 5_000_000_000L;

  private static final ValueLayout.OfInt U32 = ValueLayout.JAVA_INT;
  private static final VarHandle WORD = U32.varHandle();

  private final Queue queue;
  private final KernelCall answer;
  private final KernelCall meet;

  ZeroCopyProbe(Context context) {
    Program program =
        context.program(new Program.Build(KernelSource.read("probe.cl"), "-cl-std=CL1.2"));
    this.queue = context.newQueue();
    this.answer = new KernelCall(program, "answer");
    this.meet = new KernelCall(program, "meet");
  }

  /** Whether the device and the CPU see each other's stores to a file between the device's runs. */
  boolean isShared(MappedMemory file) {
    MemorySegment scratch = scratch(file);
    boolean shared = true;
    for (int round = 1; round <= ROUNDS && shared; round++) {
      int written = round * 0x01234567;
      WORD.setVolatile(scratch, 0L, written);
      answer.begin().argument(window(file)).argument(index());
      queue.run(answer, 1, 1);
      queue.finish();
      shared = (int) WORD.getVolatile(scratch, (long) Integer.BYTES) == ~written;
    }
    scratch.fill((byte) 0);
    return shared;
  }

  /** Whether they see each other's stores at once, while the device runs. */
  boolean isCoherent(MappedMemory file) {
    MemorySegment scratch = scratch(file);
    AtomicBoolean over = new AtomicBoolean();
    Thread cpu = Thread.ofPlatform().daemon(true).start(() -> repeat(scratch, over));
    try {
      boolean met = false;
      long end = System.nanoTime() + PATIENCE_NANOS;
      for (int word = 1; !met && System.nanoTime() - end < 0; word++) {
        meet.begin().argument(window(file)).argument(index()).argument(word).argument(LOOKS);
        queue.run(meet, 1, 1);
        queue.finish();
        met = (int) WORD.getVolatile(scratch, 2L * Integer.BYTES) == word;
      }
      return met;
    } finally {
      over.set(true);
      join(cpu);
      scratch.fill((byte) 0);
    }
  }

  /** In a thread of its own: the device may run in the one that waits for it. */
  private static void repeat(MemorySegment scratch, AtomicBoolean over) {
    while (!over.get()) {
      int word = (int) WORD.getVolatile(scratch, 0L);
      WORD.setVolatile(scratch, (long) Integer.BYTES, word);
      Thread.onSpinWait();
    }
  }

  private static void join(Thread thread) {
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private static MemorySegment scratch(MappedMemory file) {
    return file.memory().asSlice(StoreMemory.SCRATCH_OFFSET, StoreMemory.SCRATCH_BYTES);
  }

  private static DeviceBuffer window(MappedMemory file) {
    return file.window(file.memory().address());
  }

  private static long index() {
    return StoreMemory.SCRATCH_OFFSET / Integer.BYTES;
  }

  @Override
  public void close() {
    queue.close();
    answer.close();
    meet.close();
  }
}
