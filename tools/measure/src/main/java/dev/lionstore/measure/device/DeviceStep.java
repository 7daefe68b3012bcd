package dev.lionstore.measure.device;

import dev.lionstore.kernel.DeviceException;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.opencl.KernelCalls;
import dev.lionstore.opencl.KernelSource;
import dev.lionstore.opencl.driver.Closers;
import dev.lionstore.opencl.driver.Context;
import dev.lionstore.opencl.driver.Device;
import dev.lionstore.opencl.driver.DeviceBuffer;
import dev.lionstore.opencl.driver.Queue;
import dev.lionstore.rule.UpdateRule;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * A tensor whose planes and gradient are all in a device's own memory: its kernel alone, to be
 * measured. For one thread at a time.
 */
public final class DeviceStep implements AutoCloseable {
  private final Context context;
  private final Queue queue;
  private final KernelCalls calls;
  private final Closers made = new Closers();
  private final List<DeviceBuffer> planes = new ArrayList<>();
  private final List<KernelCalls.Operand> operands = new ArrayList<>();

  /**
   * Copies a tensor to a device.
   *
   * @param tensor its planes and its gradient; each fits one buffer of the device
   * @throws DeviceException if the device fails or has too little memory
   */
  public DeviceStep(Device device, UpdateRule rule, TensorStep tensor) {
    KernelSource source = KernelSource.of(rule);
    try {
      this.context = made.add(new Context(device));
      this.queue = made.add(context.newQueue());
      this.calls = made.add(new KernelCalls(context, source));
      operands.add(new KernelCalls.Operand(copied(tensor.gradient().data()), 0));
      for (MemorySegment plane : tensor.planes()) {
        DeviceBuffer buffer = copied(plane);
        planes.add(buffer);
        operands.add(new KernelCalls.Operand(buffer, 0));
      }
      queue.finish();
    } catch (RuntimeException e) {
      made.close();
      throw e;
    }
  }

  private DeviceBuffer copied(MemorySegment values) {
    DeviceBuffer buffer = made.add(DeviceBuffer.allocate(context, values.byteSize()));
    queue.write(buffer, 0, values);
    return buffer;
  }

  /**
   * Steps what the device has, again and again, and waits for it.
   *
   * @param tensor a step of the same tensor: its rounding, coefficients and noise key count
   */
  public void run(TensorStep tensor, int times) {
    for (int i = 0; i < times; i++) {
      calls.step(queue, tensor, operands, 0, tensor.gradient().count());
    }
    queue.finish();
  }

  /** Copies what the device has into a tensor's planes. */
  public void store(TensorStep tensor) {
    for (int p = 0; p < planes.size(); p++) {
      queue.read(planes.get(p), 0, tensor.planes().get(p));
    }
    queue.finish();
  }

  @Override
  public void close() {
    queue.settle();
    made.close();
  }
}
