package dev.lionstore.opencl;

import dev.lionstore.kernel.DeviceException;
import dev.lionstore.opencl.driver.Context;
import dev.lionstore.opencl.driver.OutOfDeviceMemoryException;
import dev.lionstore.rule.Plane;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;

/**
 * The lanes of a device, shared by its steppers, so that all together stay within the memory that
 * they may use. Lanes are made as they are wanted; when the device has no room for the first, with
 * half the elements. Thread-safe.
 */
final class LanePool implements AutoCloseable {
  /** Elements of a piece: 2.5 MiB, which takes a bus far longer than to be told of it. */
  private static final int MOST_ELEMENTS = 1 << 18;

  private static final int LEAST_ELEMENTS = 1 << 10;

  /** Enough for transfers both ways, and for what computes, twice. */
  private static final int MOST_LANES = 6;

  private final Context context;
  private final KernelSource source;
  private final long memoryBytes;
  private final List<Lane> made = new ArrayList<>();
  private final Deque<Lane> idle = new ArrayDeque<>();
  private int elements;
  private int most;

  /**
   * A pool.
   *
   * @param memoryBytes the most that lanes may take of the device's memory
   * @throws IllegalArgumentException if that is too little for any
   */
  LanePool(Context context, KernelSource source, long memoryBytes) {
    this.context = context;
    this.source = source;
    this.memoryBytes = memoryBytes;
    List<Plane.Type> types = PlaneMemory.types(source.rule());
    long least = Lane.bytes(types, LEAST_ELEMENTS);
    if (memoryBytes < least) {
      throw new IllegalArgumentException(
          "device memory is " + memoryBytes + " bytes, expected at least " + least);
    }
    this.elements = MOST_ELEMENTS;
    while (elements > LEAST_ELEMENTS && Lane.bytes(types, elements) * MOST_LANES > memoryBytes) {
      elements /= 2;
    }
    this.most = Math.clamp(memoryBytes / Lane.bytes(types, elements), 1, MOST_LANES);
  }

  /** The most elements of a piece. */
  synchronized int elements() {
    return elements;
  }

  /** A lane that nobody has, if there is one or can be made. */
  synchronized Optional<Lane> tryTake() {
    if (idle.isEmpty() && made.size() < most) {
      make();
    }
    return Optional.ofNullable(idle.poll());
  }

  /** A lane, as soon as there is one; for who has none. */
  synchronized Lane take() {
    boolean interrupted = false;
    Optional<Lane> lane = tryTake();
    while (lane.isEmpty()) {
      try {
        wait();
      } catch (InterruptedException e) {
        interrupted = true;
      }
      lane = tryTake();
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    return lane.get();
  }

  /** Gives lanes back, idle. */
  synchronized void giveBack(Iterable<Lane> lanes) {
    lanes.forEach(idle::push);
    notifyAll();
  }

  private void make() {
    try {
      Lane lane = new Lane(context, source, elements);
      made.add(lane);
      idle.push(lane);
    } catch (OutOfDeviceMemoryException e) {
      if (!made.isEmpty()) {
        most = made.size();
      } else if (elements > LEAST_ELEMENTS) {
        elements /= 2;
        make();
      } else {
        throw new DeviceException(
            context.device()
                + " has no memory for "
                + LEAST_ELEMENTS
                + " elements, within the "
                + memoryBytes
                + " bytes that may be used",
            e);
      }
    }
  }

  @Override
  public synchronized void close() {
    made.forEach(Lane::close);
    made.clear();
    idle.clear();
  }
}
