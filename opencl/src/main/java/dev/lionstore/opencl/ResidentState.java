package dev.lionstore.opencl;

import dev.lionstore.kernel.StoreMemory;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.opencl.driver.Context;
import dev.lionstore.opencl.driver.OutOfDeviceMemoryException;
import dev.lionstore.opencl.driver.Queue;
import dev.lionstore.rule.Plane;
import java.util.ArrayList;
import java.util.List;

/**
 * A store's state in a device's own memory. Gradients go there piece by piece on several lanes, so
 * that sending one overlaps with computing another. For one thread at a time.
 */
final class ResidentState implements AutoCloseable {
  /** Enough for one piece that is copied, one on its way and one that computes. */
  private static final int LANES = 3;

  private static final int MOST_ELEMENTS = 1 << 22;
  private static final int LEAST_ELEMENTS = 1 << 10;
  private static final int MOST_GRADIENT_BYTES = Float.BYTES;

  private final List<Plane.Type> types;
  private final int elements;
  private final List<MappedMemory> planes = new ArrayList<>();
  private final List<GradientLane> lanes = new ArrayList<>();
  private int nextLane;

  /**
   * Makes room for it.
   *
   * @param windowBytes the most bytes of a buffer for a plane
   * @param gradientBytes the most bytes for gradients on their way
   * @throws OutOfDeviceMemoryException if the device has too little memory
   */
  ResidentState(
      Context context,
      KernelSource source,
      StoreMemory memory,
      long windowBytes,
      long gradientBytes) {
    this.types = PlaneMemory.types(source.rule());
    this.elements = elements(gradientBytes);
    try {
      for (int p = 0; p < types.size(); p++) {
        StoreMemory.PlaneFile plane = memory.planes().get(p);
        planes.add(MappedMemory.copied(context, plane, types.get(p), windowBytes));
      }
      for (int lane = 0; lane < LANES; lane++) {
        lanes.add(new GradientLane(context, source, (long) elements * MOST_GRADIENT_BYTES));
      }
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  private static int elements(long gradientBytes) {
    int elements = MOST_ELEMENTS;
    while (elements > LEAST_ELEMENTS
        && (long) elements * MOST_GRADIENT_BYTES * LANES > gradientBytes) {
      elements /= 2;
    }
    return elements;
  }

  void load() {
    Queue queue = lanes.getFirst().queue();
    planes.forEach(plane -> plane.load(queue));
    queue.finish();
  }

  void store() {
    Queue queue = lanes.getFirst().queue();
    planes.forEach(plane -> plane.store(queue));
    queue.finish();
  }

  void step(List<TensorStep> tensors) {
    tensors.forEach(this::start);
    lanes.forEach(lane -> lane.queue().finish());
  }

  private void start(TensorStep tensor) {
    long count = tensor.gradient().count();
    for (long at = 0; at < count; ) {
      List<PlanePart> parts = parts(tensor, at);
      long to = Math.min(count, at + elements);
      for (PlanePart part : parts) {
        to = Math.min(to, at + part.elementsLeft());
      }
      start(tensor, parts, at, to);
      at = to;
    }
  }

  private void start(TensorStep tensor, List<PlanePart> parts, long from, long to) {
    GradientLane lane = lanes.get(nextLane);
    nextLane = (nextLane + 1) % lanes.size();
    lane.queue().finish();
    List<KernelCalls.Operand> operands = new ArrayList<>();
    operands.add(lane.send(tensor.gradient(), from, to - from));
    parts.forEach(part -> operands.add(part.operand()));
    lane.calls().step(lane.queue(), tensor, operands, from, to);
    lane.queue().flush();
  }

  private List<PlanePart> parts(TensorStep tensor, long at) {
    List<PlanePart> parts = new ArrayList<>();
    for (int p = 0; p < types.size(); p++) {
      long address = tensor.planes().get(p).address() + types.get(p).bytes(at);
      parts.add(new PlanePart(planes.get(p), address, types.get(p)));
    }
    return parts;
  }

  @Override
  public void close() {
    lanes.forEach(GradientLane::close);
    lanes.clear();
    planes.forEach(MappedMemory::close);
    planes.clear();
  }
}
