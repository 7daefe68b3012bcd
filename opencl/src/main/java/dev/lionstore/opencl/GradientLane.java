package dev.lionstore.opencl;

import dev.lionstore.kernel.GradientValues;
import dev.lionstore.opencl.driver.Closers;
import dev.lionstore.opencl.driver.Context;
import dev.lionstore.opencl.driver.OutOfDeviceMemoryException;
import dev.lionstore.opencl.driver.Queue;
import dev.lionstore.opencl.driver.TransferLane;
import java.lang.foreign.MemorySegment;

/** A way for gradients to a device that keeps the state. Pieces on several lanes overlap. */
final class GradientLane implements AutoCloseable {
  private final TransferLane transfers;
  private final KernelCalls calls;

  /**
   * A lane for pieces of so many bytes.
   *
   * @throws OutOfDeviceMemoryException if the device has no room for it
   */
  GradientLane(Context context, KernelSource source, long bytes) {
    Closers made = new Closers();
    try {
      this.calls = made.add(new KernelCalls(context, source));
      this.transfers = made.add(new TransferLane(context, bytes));
    } catch (RuntimeException e) {
      made.close();
      throw e;
    }
  }

  /** Its queue. */
  Queue queue() {
    return transfers.queue();
  }

  /** Its calls. */
  KernelCalls calls() {
    return calls;
  }

  /** Sends values to the device; what the lane sent before has been used. */
  KernelCalls.Operand send(GradientValues gradient, long from, long count) {
    long bytes = gradient.type().bytes();
    MemorySegment.copy(gradient.data(), from * bytes, transfers.staging(), 0, count * bytes);
    transfers.send(count * bytes);
    return new KernelCalls.Operand(transfers.buffer(), 0);
  }

  @Override
  public void close() {
    transfers.close();
    calls.close();
  }
}
