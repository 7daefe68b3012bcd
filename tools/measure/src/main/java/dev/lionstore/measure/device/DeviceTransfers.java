package dev.lionstore.measure.device;

import dev.lionstore.kernel.DeviceException;
import dev.lionstore.opencl.driver.Closers;
import dev.lionstore.opencl.driver.Context;
import dev.lionstore.opencl.driver.Device;
import dev.lionstore.opencl.driver.DeviceBuffer;
import dev.lionstore.opencl.driver.TransferLane;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;

/**
 * Moves bytes through a device's memory and over its bus, and computes nothing: what a step's time
 * is to be compared with. Every method returns when the bytes have arrived. For one thread at a
 * time.
 */
public final class DeviceTransfers implements AutoCloseable {
  /** What goes over the bus at once: a transfer takes far longer than to be told of it. */
  private static final long MOST_TRANSFER_BYTES = 1L << 26;

  private final Context context;
  private final DeviceBuffer source;
  private final DeviceBuffer target;
  private final TransferLane up;
  private final TransferLane down;

  /** Enqueues the transfer of some bytes. */
  private interface Transfer {
    void start(long bytes);
  }

  /**
   * Makes room for it.
   *
   * @param bytes of each of the two buffers between which the device copies, unless its largest
   *     buffer or an eighth of its memory is less
   * @throws DeviceException if the device fails or has too little memory
   */
  public DeviceTransfers(Device device, long bytes) {
    long copied =
        Math.min(
            bytes,
            Math.min(device.memory().largestBufferBytes(), device.memory().globalBytes() / 8));
    long transferred = Math.min(copied, MOST_TRANSFER_BYTES);
    Closers made = new Closers();
    try {
      this.context = made.add(new Context(device));
      this.source = made.add(DeviceBuffer.allocate(context, copied));
      this.target = made.add(DeviceBuffer.allocate(context, copied));
      this.up = made.add(new TransferLane(context, transferred));
      this.down = made.add(new TransferLane(context, transferred));
      up.send(transferred); // drivers may allocate on the first use
      down.send(transferred);
      down.queue().finish();
      fill(source);
      fill(target);
    } catch (RuntimeException e) {
      made.close();
      throw e;
    }
  }

  /** Memory that has never been written may be no memory yet, and zeros may be compressed. */
  private void fill(DeviceBuffer buffer) {
    SplittableRandom random = new SplittableRandom(1);
    MemorySegment values = up.staging();
    for (long at = 0; at + Long.BYTES <= values.byteSize(); at += Long.BYTES) {
      values.set(ValueLayout.JAVA_LONG_UNALIGNED, at, random.nextLong());
    }
    for (long at = 0; at < buffer.bytes(); at += values.byteSize()) {
      long some = Math.min(values.byteSize(), buffer.bytes() - at);
      up.queue().write(buffer, at, values.asSlice(0, some));
    }
    up.queue().finish();
  }

  /**
   * Copies within the device's memory.
   *
   * @param moved bytes read and bytes written, together
   */
  public void copy(long moved) {
    inPieces(moved / 2, source.bytes(), piece -> up.queue().copy(source, target, piece));
    up.queue().finish();
  }

  /** Sends so many bytes from pinned memory of the host to the device. */
  public void up(long bytes) {
    startUp(bytes);
    up.queue().finish();
  }

  /** Brings so many bytes from the device to pinned memory of the host. */
  public void down(long bytes) {
    startDown(bytes);
    down.queue().finish();
  }

  /** Sends and brings at the same time. */
  public void upAndDown(long upBytes, long downBytes) {
    startUp(upBytes);
    startDown(downBytes);
    up.queue().finish();
    down.queue().finish();
  }

  private void startUp(long bytes) {
    inPieces(bytes, up.staging().byteSize(), up::send);
    up.queue().flush();
  }

  private void startDown(long bytes) {
    inPieces(bytes, down.staging().byteSize(), piece -> down.bring(0, piece));
    down.queue().flush();
  }

  private static void inPieces(long bytes, long most, Transfer transfer) {
    for (long at = 0; at < bytes; at += most) {
      transfer.start(Math.min(most, bytes - at));
    }
  }

  @Override
  public void close() {
    down.close();
    up.close();
    target.close();
    source.close();
    context.close();
  }
}
