package dev.lionstore.opencl;

import dev.lionstore.kernel.DeviceException;
import dev.lionstore.kernel.DeviceOptions;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.kernel.SquareSum;
import dev.lionstore.kernel.StoreMemory;
import dev.lionstore.opencl.driver.Context;
import dev.lionstore.opencl.driver.Device;
import dev.lionstore.rule.UpdateRule;
import org.jspecify.annotations.Nullable;

/** A rule on a device, in place or streaming. */
final class OpenClKernel implements Kernel {
  static final String BACKEND = "opencl";

  /** What is given to a device at once, in elements: a millisecond's work for a CPU. */
  private static final int ELEMENTS_AT_ONCE = 1 << 22;

  private final String nonconformance;
  private final Context context;
  private final Runnable owner;
  private final KernelSource source;
  private final DeviceOptions options;
  private final Kernel cpu;
  private final LanePool lanes;
  private @Nullable InPlaceMemory inPlace;
  private Unit unit = Unit.CHUNK;

  /**
   * A kernel.
   *
   * @param owner closes the context, if that is to be closed with the kernel
   * @param nonconformance how the device's bits differ; empty if they do not
   * @throws IllegalArgumentException if the options allow too little memory
   */
  private OpenClKernel(
      Context context,
      Runnable owner,
      KernelSource source,
      DeviceOptions options,
      String nonconformance) {
    this.nonconformance = nonconformance;
    this.context = context;
    this.owner = owner;
    this.source = source;
    this.options = options;
    this.cpu = Kernels.ofCpu(source.rule());
    this.lanes = new LanePool(context, source, options.memoryBytes());
  }

  /** A kernel that closes its context. */
  static OpenClKernel owning(Context context, KernelSource source, DeviceOptions options) {
    return owning(context, source, options, "");
  }

  /**
   * The same of a device that computes other bits.
   *
   * @param nonconformance how they differ; empty if they do not
   */
  static OpenClKernel owning(
      Context context, KernelSource source, DeviceOptions options, String nonconformance) {
    return new OpenClKernel(context, context::close, source, options, nonconformance);
  }

  /** A kernel whose context is closed by somebody else, after it. */
  static OpenClKernel sharing(Context context, KernelSource source, DeviceOptions options) {
    return new OpenClKernel(context, () -> {}, source, options, "");
  }

  @Override
  public String backend() {
    return BACKEND;
  }

  @Override
  public UpdateRule rule() {
    return source.rule();
  }

  @Override
  public String nonconformance() {
    return nonconformance;
  }

  @Override
  public Unit unit() {
    return unit;
  }

  @Override
  public int chunksAtOnce(int chunkElements) {
    return Math.max(1, ELEMENTS_AT_ONCE / chunkElements);
  }

  @Override
  public String attach(StoreMemory memory) {
    return switch (options.memory()) {
      case STREAMING -> "streaming";
      case RESIDENT -> throw new IllegalArgumentException("such a kernel keeps no state");
      case IN_PLACE -> {
        String refusal = tryInPlace(memory);
        if (!refusal.isEmpty()) {
          throw new IllegalArgumentException(
              context.device() + " cannot step in place: " + refusal + "; use streaming");
        }
        yield inPlaceWords();
      }
      case AUTO -> {
        String refusal =
            context.device().sharesMemory() ? tryInPlace(memory) : "it has memory of its own";
        yield refusal.isEmpty() ? inPlaceWords() : "streaming, since " + refusal;
      }
    };
  }

  private String inPlaceWords() {
    return unit == Unit.SAVED_CHUNK
        ? "in place, zero copy is proved; it saves what it changes itself"
        : "in place, zero copy is proved";
  }

  /** Why it cannot be; empty if it is in place now. */
  private String tryInPlace(StoreMemory memory) {
    try {
      InPlaceMemory tried =
          new InPlaceMemory(
              context, source.rule(), memory, context.device().memory().largestBufferBytes());
      String refusal;
      try (ZeroCopyProbe probe = new ZeroCopyProbe(context)) {
        refusal =
            tried.values().stream().allMatch(probe::isShared)
                ? ""
                : "it works on a copy of mapped memory";
        if (refusal.isEmpty() && savesItself(probe, tried)) {
          unit = Unit.SAVED_CHUNK;
        }
      } catch (DeviceException e) {
        tried.close();
        throw e;
      }
      if (refusal.isEmpty()) {
        inPlace = tried;
      } else {
        tried.close();
      }
      return refusal;
    } catch (DeviceException e) {
      return "it cannot use mapped memory (" + e.getMessage() + ")";
    }
  }

  /**
   * Only a CPU's stores are known to reach a killed process's files as its instructions were, and
   * only if they are seen at once.
   */
  private boolean savesItself(ZeroCopyProbe probe, InPlaceMemory tried) {
    return context.device().identity().type() == Device.Type.CPU
        && probe.isCoherent(tried.progress());
  }

  /** The CPU's kernel finds the norm; the JVM may have to compile it. */
  @Override
  public void willStep(long elements) {
    cpu.willStep(elements);
  }

  @Override
  public void prepare(long elements) {
    cpu.prepare(elements);
  }

  @Override
  public SquareSum newSquareSum() {
    return cpu.newSquareSum();
  }

  @Override
  public Stepper newStepper() {
    InPlaceMemory memory = inPlace;
    return memory == null
        ? new StreamingStepper(lanes, cpu.newStepper())
        : new InPlaceStepper(context, source, memory, cpu.newStepper());
  }

  @Override
  public void close() {
    lanes.close();
    InPlaceMemory memory = inPlace;
    if (memory != null) {
      memory.close();
    }
    owner.run();
  }
}
