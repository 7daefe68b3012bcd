package dev.lionstore.opencl;

import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.opencl.driver.Closers;
import dev.lionstore.opencl.driver.Context;
import dev.lionstore.opencl.driver.OutOfDeviceMemoryException;
import dev.lionstore.opencl.driver.TransferLane;
import dev.lionstore.rule.Plane;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A way through a discrete device for one piece of a tensor at a time. The lane's memory holds the
 * gradient, then plane after plane, padded to {@link Kernel#ALIGNMENT} elements, so that one
 * transfer takes all up and one brings the planes back. Pieces on several lanes overlap.
 */
final class Lane implements AutoCloseable {
  private static final int GRADIENT_BYTES = Float.BYTES;

  private final TransferLane transfers;
  private final KernelCalls calls;
  private final List<Plane.Type> types;
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
      return (int) PlaneMemory.padded(count);
    }
  }

  /**
   * A lane for pieces of so many elements.
   *
   * @throws OutOfDeviceMemoryException if the device has no room for it
   */
  Lane(Context context, KernelSource source, int elements) {
    this.types = PlaneMemory.types(source.rule());
    long bytes = bytes(types, elements);
    Closers made = new Closers();
    try {
      this.calls = made.add(new KernelCalls(context, source));
      this.transfers = made.add(new TransferLane(context, bytes));
      transfers.staging().fill((byte) 0);
      transfers.send(bytes); // drivers may allocate on the first use
      transfers.queue().finish();
    } catch (RuntimeException e) {
      made.close();
      throw e;
    }
  }

  /** What it takes of a device's memory for pieces of so many elements. */
  static long bytes(List<Plane.Type> types, long elements) {
    return elements * GRADIENT_BYTES
        + types.stream().mapToLong(type -> PlaneMemory.room(type, elements)).sum();
  }

  /** Begins a piece; the lane is idle. */
  void start(Piece next) {
    TensorStep tensor = next.tensor();
    MemorySegment staging = transfers.staging();
    int gradientBytes = tensor.gradient().type().bytes();
    MemorySegment.copy(
        tensor.gradient().data(),
        next.from() * gradientBytes,
        staging,
        0,
        (long) next.count() * gradientBytes);
    List<KernelCalls.Operand> operands = new ArrayList<>();
    operands.add(new KernelCalls.Operand(transfers.buffer(), 0));
    long at = planesOffset(next);
    for (int p = 0; p < types.size(); p++) {
      Plane.Type type = types.get(p);
      long bytes = type.bytes(next.padded());
      MemorySegment.copy(tensor.planes().get(p), type.bytes(next.from()), staging, at, bytes);
      operands.add(KernelCalls.Operand.of(transfers.buffer(), at, type));
      at += PlaneMemory.room(type, next.padded());
    }
    transfers.send(at);
    calls.step(transfers.queue(), tensor, operands, next.from(), next.from() + next.count());
    long planes = planesOffset(next);
    transfers.bring(planes, at - planes);
    transfers.queue().flush();
    piece = next;
  }

  /** Waits for the piece that it has, if it has one, and puts its planes in their place. */
  void finish() {
    Piece ended = piece;
    if (ended == null) {
      return;
    }
    piece = null;
    transfers.queue().finish();
    long at = planesOffset(ended);
    for (int p = 0; p < types.size(); p++) {
      Plane.Type type = types.get(p);
      MemorySegment.copy(
          transfers.staging(),
          at,
          ended.tensor().planes().get(p),
          type.bytes(ended.from()),
          type.bytes(ended.padded()));
      at += PlaneMemory.room(type, ended.padded());
    }
  }

  /** Forgets the piece that it has, if it has one, after a failure. */
  void abandon() {
    if (piece != null) {
      piece = null;
      transfers.queue().settle();
    }
  }

  private static long planesOffset(Piece piece) {
    return (long) piece.padded() * piece.tensor().gradient().type().bytes();
  }

  @Override
  public void close() {
    transfers.close();
    calls.close();
  }
}
