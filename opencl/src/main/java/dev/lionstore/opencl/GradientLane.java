package dev.lionstore.opencl;

import dev.lionstore.kernel.GradientValues;
import java.lang.foreign.MemorySegment;

/**
 * A way for gradients to a device that keeps the state: a queue, memory of the device, and memory
 * of the host that the device's transfers reach. Pieces on several lanes overlap.
 */
final class GradientLane implements AutoCloseable {
  private final Queue queue;
  private final DeviceBuffer pinned;
  private final DeviceBuffer buffer;
  private final MemorySegment staging;
  private final Calls calls;

  /**
   * A lane for pieces of so many bytes.
   *
   * @throws OutOfDeviceMemoryException if the device has no room for it
   */
  GradientLane(Context context, Source source, long bytes) {
    Closers made = new Closers();
    try {
      this.queue = made.add(context.newQueue());
      this.calls = made.add(new Calls(context, source));
      this.pinned = made.add(DeviceBuffer.pinned(context, bytes));
      this.buffer = made.add(DeviceBuffer.allocate(context, bytes));
      this.staging = Planes.at(queue.map(pinned, 0, bytes), bytes);
    } catch (RuntimeException e) {
      made.close();
      throw e;
    }
  }

  /** Its queue. */
  Queue queue() {
    return queue;
  }

  /** Its calls. */
  Calls calls() {
    return calls;
  }

  /** Sends values to the device; what the lane sent before has been used. */
  Calls.Operand send(GradientValues gradient, long from, long count) {
    long bytes = gradient.type().bytes();
    MemorySegment.copy(gradient.data(), from * bytes, staging, 0, count * bytes);
    queue.write(buffer, 0, staging.asSlice(0, count * bytes));
    return new Calls.Operand(buffer, 0);
  }

  @Override
  public void close() {
    queue.settle();
    queue.unmap(pinned, staging.address());
    queue.close();
    calls.close();
    pinned.close();
    buffer.close();
  }
}
