package dev.lionstore.opencl;

import java.lang.foreign.MemorySegment;

/** A queue, memory of the device, and as much of the host that the device's transfers reach. */
final class BusLane implements AutoCloseable {
  private final Queue queue;
  private final DeviceBuffer pinned;
  private final DeviceBuffer buffer;
  private final MemorySegment staging;

  /**
   * A lane for transfers of so many bytes.
   *
   * @throws OutOfDeviceMemoryException if the device has no room for it
   */
  BusLane(Context context, long bytes) {
    Closers made = new Closers();
    try {
      this.queue = made.add(context.newQueue());
      this.pinned = made.add(DeviceBuffer.pinned(context, bytes));
      this.buffer = made.add(DeviceBuffer.allocate(context, bytes));
      this.staging = Planes.at(queue.map(pinned, 0, bytes), bytes);
      queue.write(buffer, 0, staging); // drivers may allocate on the first use
      queue.finish();
    } catch (RuntimeException e) {
      made.close();
      throw e;
    }
  }

  /** Its queue. */
  Queue queue() {
    return queue;
  }

  /** The host's memory. */
  MemorySegment staging() {
    return staging;
  }

  /** Enqueues the way to the device of the first so many bytes. */
  void send(long bytes) {
    queue.write(buffer, 0, staging.asSlice(0, bytes));
  }

  /** Enqueues their way back. */
  void bring(long bytes) {
    queue.read(buffer, 0, staging.asSlice(0, bytes));
  }

  @Override
  public void close() {
    queue.settle();
    queue.unmap(pinned, staging.address());
    queue.close();
    pinned.close();
    buffer.close();
  }
}
