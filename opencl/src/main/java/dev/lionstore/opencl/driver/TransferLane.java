package dev.lionstore.opencl.driver;

import java.lang.foreign.MemorySegment;

/**
 * A queue, a buffer of the device, and memory of the host from and to which the device's transfers
 * are fastest. Transfers on several lanes overlap. For one thread at a time.
 */
public final class TransferLane implements Closers.Closer {
  private final Queue queue;
  private final DeviceBuffer pinned;
  private final DeviceBuffer buffer;
  private final MemorySegment staging;

  /**
   * A lane for transfers of so many bytes.
   *
   * @throws OutOfDeviceMemoryException if the device has no room for it
   */
  public TransferLane(Context context, long bytes) {
    Closers made = new Closers();
    try {
      this.queue = made.add(context.newQueue());
      this.pinned = made.add(DeviceBuffer.pinned(context, bytes));
      this.buffer = made.add(DeviceBuffer.allocate(context, bytes));
      this.staging = mapped(queue.map(pinned, 0, bytes), bytes);
    } catch (RuntimeException e) {
      made.close();
      throw e;
    }
  }

  @SuppressWarnings("restricted") // the address and the size are OpenCL's own
  private static MemorySegment mapped(long address, long bytes) {
    return MemorySegment.ofAddress(address).reinterpret(bytes);
  }

  /** Its queue. */
  public Queue queue() {
    return queue;
  }

  /** The device's memory. */
  public DeviceBuffer buffer() {
    return buffer;
  }

  /** The host's memory. */
  public MemorySegment staging() {
    return staging;
  }

  /** Enqueues the way to the device of the first so many bytes. */
  public void send(long bytes) {
    queue.write(buffer, 0, staging.asSlice(0, bytes));
  }

  /** Enqueues the way back of so many bytes. */
  public void bring(long from, long bytes) {
    queue.read(buffer, from, staging.asSlice(from, bytes));
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
