package dev.lionstore.opencl;

import dev.lionstore.kernel.DeviceOptions;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.Kernels;
import dev.lionstore.kernel.ResidentKernel;
import dev.lionstore.kernel.SquareSum;
import dev.lionstore.kernel.StoreMemory;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.opencl.driver.Context;
import dev.lionstore.opencl.driver.OutOfDeviceMemoryException;
import dev.lionstore.rule.UpdateRule;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A rule on a device that keeps the state; closes its context. */
final class ResidentClKernel implements ResidentKernel {
  private final Context context;
  private final KernelSource source;
  private final DeviceOptions options;
  private final Kernel cpu;
  private final String nonconformance;
  private @Nullable ResidentState state;

  /**
   * A kernel.
   *
   * @param nonconformance how the device's bits differ from the reference's; empty if they do not
   */
  ResidentClKernel(
      Context context, KernelSource source, DeviceOptions options, String nonconformance) {
    this.nonconformance = nonconformance;
    this.context = context;
    this.source = source;
    this.options = options;
    this.cpu = Kernels.ofCpu(source.rule());
  }

  @Override
  public String backend() {
    return OpenClKernel.BACKEND;
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
  public String attach(StoreMemory memory) {
    long bytes = memory.planes().stream().mapToLong(plane -> plane.memory().byteSize()).sum();
    long there = context.device().memory().globalBytes();
    if (bytes > there) {
      throw tooLarge(bytes, "has " + there + " bytes of memory");
    }
    try {
      long window = context.device().memory().largestBufferBytes();
      state = new ResidentState(context, source, memory, window, options.memoryBytes());
    } catch (OutOfDeviceMemoryException e) {
      IllegalArgumentException refusal = tooLarge(bytes, "has no room for it: " + e.getMessage());
      refusal.initCause(e);
      throw refusal;
    }
    return "it keeps the state: a kill loses the steps since the planes were refreshed";
  }

  private IllegalArgumentException tooLarge(long bytes, String device) {
    return new IllegalArgumentException(
        "the state takes "
            + bytes
            + " bytes, but "
            + context.device()
            + " "
            + device
            + "; use streaming");
  }

  @Override
  public void load() {
    state().load();
  }

  @Override
  public void step(List<TensorStep> tensors) {
    state().step(tensors);
  }

  @Override
  public void store() {
    state().store();
  }

  private ResidentState state() {
    if (state == null) {
      throw new IllegalStateException("attached to nothing");
    }
    return state;
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
    return cpu.newStepper();
  }

  @Override
  public void close() {
    if (state != null) {
      state.close();
    }
    context.close();
  }
}
