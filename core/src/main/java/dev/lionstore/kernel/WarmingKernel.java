package dev.lionstore.kernel;

import dev.lionstore.rule.UpdateRule;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * A kernel that the JVM has to compile before it is fast. A thread beside warms it up; until then
 * the scalar reference steps, which is compiled at once and gives the same bits. So the first steps
 * of a process, and the recovery of a killed one, do not wait for the compiler.
 */
final class WarmingKernel implements Kernel {
  private static final Map<String, WarmUp> WARM_UPS = new ConcurrentHashMap<>();

  /** So that the scalar reference is compiled first: the compiler takes seconds for the other. */
  private static final long HEAD_START_MILLIS = 700;

  /** What the scalar reference would take longer for than the compiler takes for the other. */
  private static final long WORTH_WAITING_FOR = 1L << 28;

  private static final long MOST_WAIT_SECONDS = 10;

  private final Kernel kernel;
  private final Kernel meanwhile;
  private final WarmUp warmUp;

  WarmingKernel(Kernel kernel, KernelProvider provider) {
    this.kernel = kernel;
    this.meanwhile = new ScalarKernel(kernel.rule());
    this.warmUp =
        WARM_UPS.computeIfAbsent(
            kernel.backend() + " " + kernel.rule().name(), _ -> WarmUp.start(kernel, provider));
  }

  @Override
  public String backend() {
    return kernel.backend();
  }

  @Override
  public UpdateRule rule() {
    return kernel.rule();
  }

  @Override
  public Unit unit() {
    return kernel.unit();
  }

  @Override
  public int chunksAtOnce(int chunkElements) {
    return kernel.chunksAtOnce(chunkElements);
  }

  @Override
  public String attach(StoreMemory memory) {
    return kernel.attach(memory);
  }

  @Override
  public void close() {
    kernel.close();
  }

  @Override
  public void prepare(long elements) {
    if (elements >= WORTH_WAITING_FOR) {
      warmUp.await();
    }
  }

  @Override
  public Stepper newStepper() {
    return new Either(warmUp, kernel.newStepper(), meanwhile.newStepper());
  }

  /** Once in the life of a process, for each backend and rule. */
  private static final class WarmUp {
    private final CountDownLatch wanted = new CountDownLatch(1);
    private final CountDownLatch ended = new CountDownLatch(1);
    private volatile boolean done;

    static WarmUp start(Kernel kernel, KernelProvider provider) {
      WarmUp warmUp = new WarmUp();
      Thread thread = new Thread(() -> warmUp.run(kernel, provider), "lionstore-warm-up");
      thread.setDaemon(true);
      thread.start();
      return warmUp;
    }

    private void run(Kernel kernel, KernelProvider provider) {
      try {
        boolean _ = wanted.await(HEAD_START_MILLIS, TimeUnit.MILLISECONDS);
        provider.warmUp(kernel);
        done = true;
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt(); // nobody does this; the scalar reference goes on
      } finally {
        ended.countDown();
      }
    }

    void await() {
      wanted.countDown();
      boolean interrupted = false;
      for (long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(MOST_WAIT_SECONDS); ; ) {
        try {
          boolean _ = ended.await(end - System.nanoTime(), TimeUnit.NANOSECONDS);
          break;
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private record Either(WarmUp warmUp, Stepper warm, Stepper meanwhile) implements Stepper {
    private Stepper stepper() {
      return warmUp.done ? warm : meanwhile;
    }

    @Override
    public void apply(TensorStep tensor, long from, int count) {
      stepper().apply(tensor, from, count);
    }

    @Override
    public void apply(TensorStep tensor, long from, int count, Undo undo) {
      stepper().apply(tensor, from, count, undo);
    }

    @Override
    public double sumOfSquares(GradientValues gradient, long from, int count) {
      return stepper().sumOfSquares(gradient, from, count);
    }
  }
}
