package dev.lionstore.opencl;

import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.TensorStep;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A way through a discrete device for one piece of a tensor at a time: a queue, memory of the
 * device, and memory of the host that the device's transfers reach. Both hold the gradient, then
 * plane after plane, padded to {@link Kernel#ALIGNMENT} elements, so that one transfer takes all up
 * and one brings the planes back. Pieces on several lanes overlap.
 */
final class Lane implements AutoCloseable {
  private static final int GRADIENT_BYTES = Float.BYTES;

  private final Queue queue;
  private final DeviceBuffer pinned;
  private final DeviceBuffer buffer;
  private final MemorySegment staging;
  private final Calls calls;
  private final List<Integer> planeBytes;
  private @Nullable Piece piece;

  /**
   * Elements of a tensor.
   *
   * @param tensor which
   * @param from the index of the first one, a multiple of {@link Kernel#ALIGNMENT}
   * @param count how many
   */
  record Piece(TensorStep tensor, long from, int count) {
    private int padded() {
      return (int) Planes.padded(count);
    }
  }

  /**
   * A lane for pieces of so many elements.
   *
   * @throws OutOfDeviceMemoryException if the device has no room for it
   */
  Lane(Context context, Source source, int elements) {
    this.planeBytes = Planes.bytesPerElement(source.rule());
    long bytes = bytes(planeBytes, elements);
    Closers made = new Closers();
    try {
      this.queue = made.add(context.newQueue());
      this.calls = made.add(new Calls(context, source));
      this.pinned = made.add(DeviceBuffer.pinned(context, bytes));
      this.buffer = made.add(DeviceBuffer.allocate(context, bytes));
      this.staging = Planes.at(queue.map(pinned, 0, bytes), bytes);
      staging.fill((byte) 0);
      queue.write(buffer, 0, staging); // drivers may allocate on the first use
      queue.finish();
    } catch (RuntimeException e) {
      made.close();
      throw e;
    }
  }

  /** What it takes of a device's memory for pieces of so many elements. */
  static long bytes(List<Integer> planeBytes, long elements) {
    return elements * (GRADIENT_BYTES + planeBytes.stream().mapToInt(Integer::intValue).sum());
  }

  /** Begins a piece; the lane is idle. */
  void start(Piece next) {
    TensorStep tensor = next.tensor();
    int gradientBytes = tensor.gradient().type().bytes();
    MemorySegment.copy(
        tensor.gradient().data(),
        next.from() * gradientBytes,
        staging,
        0,
        (long) next.count() * gradientBytes);
    List<Calls.Operand> operands = new ArrayList<>();
    operands.add(new Calls.Operand(buffer, 0));
    long at = planesOffset(next);
    for (int p = 0; p < planeBytes.size(); p++) {
      long bytes = (long) next.padded() * planeBytes.get(p);
      MemorySegment.copy(
          tensor.planes().get(p), next.from() * planeBytes.get(p), staging, at, bytes);
      operands.add(new Calls.Operand(buffer, at / planeBytes.get(p)));
      at += bytes;
    }
    queue.write(buffer, 0, staging.asSlice(0, at));
    calls.step(queue, tensor, operands, next.from(), next.from() + next.count());
    long planes = planesOffset(next);
    queue.read(buffer, planes, staging.asSlice(planes, at - planes));
    queue.flush();
    piece = next;
  }

  /** Waits for the piece that it has, if it has one, and puts its planes in their place. */
  void finish() {
    Piece ended = piece;
    if (ended == null) {
      return;
    }
    piece = null;
    queue.finish();
    long at = planesOffset(ended);
    for (int p = 0; p < planeBytes.size(); p++) {
      long bytes = (long) ended.padded() * planeBytes.get(p);
      MemorySegment.copy(
          staging, at, ended.tensor().planes().get(p), ended.from() * planeBytes.get(p), bytes);
      at += bytes;
    }
  }

  /** Forgets the piece that it has, if it has one, after a failure. */
  void abandon() {
    if (piece != null) {
      piece = null;
      queue.settle();
    }
  }

  private static long planesOffset(Piece piece) {
    return (long) piece.padded() * piece.tensor().gradient().type().bytes();
  }

  @Override
  public void close() {
    queue.unmap(pinned, staging.address());
    queue.close();
    calls.close();
    pinned.close();
    buffer.close();
  }
}
