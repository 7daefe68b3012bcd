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
final class WarmingKernel extends ForwardingKernel {
  private static final Map<Key, WarmUp> WARM_UPS = new ConcurrentHashMap<>();

  /** What the scalar reference would take longer for than the compiler takes for the other. */
  private static final long WORTH_WAITING_FOR = 1L << 25;

  private static final long MOST_WAIT_SECONDS = 10;

  private final Kernel meanwhile;
  private final WarmUp warmUp;

  WarmingKernel(Kernel kernel, KernelProvider provider) {
    super(kernel);
    this.meanwhile = new ScalarKernel(kernel.rule());
    this.warmUp =
        WARM_UPS.computeIfAbsent(
            new Key(kernel.backend(), kernel.rule()), _ -> new WarmUp(kernel, provider));
  }

  /** The loop that is compiled: a rule of the same name with another text has another. */
  private record Key(String backend, UpdateRule rule) {}

  /** A small store is opened sooner if the compiler is left to what opens it. */
  @Override
  public void willStep(long elements) {
    if (elements >= WORTH_WAITING_FOR) {
      warmUp.start();
    }
  }

  @Override
  public void prepare(long elements) {
    warmUp.start();
    if (elements >= WORTH_WAITING_FOR) {
      warmUp.await();
    }
  }

  @Override
  public Stepper newStepper() {
    return new Either(warmUp, kernel.newStepper(), meanwhile.newStepper());
  }

  @Override
  public SquareSum newSquareSum() {
    SquareSum warm = kernel.newSquareSum();
    SquareSum scalar = meanwhile.newSquareSum();
    return (gradient, from, count) -> (warmUp.done ? warm : scalar).of(gradient, from, count);
  }

  @Override
  public TensorLook newLook() {
    TensorLook warm = kernel.newLook();
    TensorLook scalar = meanwhile.newLook();
    return (tensor, pass, from, count, totals, at) ->
        (warmUp.done ? warm : scalar).of(tensor, pass, from, count, totals, at);
  }

  /** Once in the life of a process, for each backend and rule. */
  private static final class WarmUp {
    private final Thread thread;
    private final CountDownLatch ended = new CountDownLatch(1);
    private volatile boolean done;

    WarmUp(Kernel kernel, KernelProvider provider) {
      thread = new Thread(() -> run(kernel, provider), "lionstore-warm-up");
      thread.setDaemon(true);
    }

    synchronized void start() {
      if (thread.getState() == Thread.State.NEW) {
        thread.start();
      }
    }

    private void run(Kernel kernel, KernelProvider provider) {
      try {
        provider.warmUp(kernel);
        done = true;
      } finally {
        ended.countDown();
      }
    }

    void await() {
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
  }
}
