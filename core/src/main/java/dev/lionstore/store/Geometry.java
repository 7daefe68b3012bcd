package dev.lionstore.store;

import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.rule.Plane;
import java.util.List;

/**
 * Where everything stands in the planes. Trainable tensors come first, then frozen ones, each kind
 * in name order, each tensor on a boundary of {@link Kernel#ALIGNMENT} elements; frozen ones are in
 * the master's planes alone. A tensor's element has the same index in every plane.
 *
 * <p>A chunk is the unit of scheduling and of stamps: consecutive elements of one tensor.
 */
final class Geometry {
  private final long[] counts;
  private final long[] firstElement;
  private final long[] firstChunk;
  private final long trainableElements;
  private final long allElements;
  private final int chunkElements;

  Geometry(List<TensorSpec> tensors, int chunkElements) {
    this.chunkElements = chunkElements;
    this.counts = tensors.stream().mapToLong(TensorSpec::count).toArray();
    this.firstElement = new long[tensors.size()];
    this.firstChunk = new long[tensors.size() + 1];
    this.trainableElements = place(tensors, TensorSpec.Role.TRAINABLE, 0);
    this.allElements = place(tensors, TensorSpec.Role.FROZEN, trainableElements);
    for (int t = 0; t < tensors.size(); t++) {
      TensorSpec tensor = tensors.get(t);
      long chunks = tensor.trainable() ? -Math.floorDiv(-tensor.count(), chunkElements) : 0;
      firstChunk[t + 1] = firstChunk[t] + chunks;
    }
    if (firstChunk[tensors.size()] > ProgressFile.MAX_CHUNKS) {
      throw new IllegalArgumentException(
          "there are "
              + firstChunk[tensors.size()]
              + " chunks of "
              + chunkElements
              + " elements, expected at most "
              + ProgressFile.MAX_CHUNKS
              + "; choose a larger chunk");
    }
  }

  private long place(List<TensorSpec> tensors, TensorSpec.Role role, long from) {
    long next = from;
    for (int t = 0; t < tensors.size(); t++) {
      if (tensors.get(t).role() == role) {
        firstElement[t] = next;
        next = Math.addExact(next, padded(tensors.get(t).count()));
      }
    }
    return next;
  }

  /** A count rounded up to the alignment. */
  static long padded(long count) {
    return Math.addExact(count, Kernel.ALIGNMENT - 1) & -Kernel.ALIGNMENT;
  }

  /** The index of a tensor's first element in every plane that has it. */
  long firstElement(int tensor) {
    return firstElement[tensor];
  }

  /** Elements of a plane, padding included. */
  long elements(Plane plane) {
    return Plane.MASTER.contains(plane) ? allElements : trainableElements;
  }

  /** Elements of trainable tensors, padding included. */
  long trainableElements() {
    return trainableElements;
  }

  /** Elements of a chunk; a tensor's last one may have fewer. */
  int chunkElements() {
    return chunkElements;
  }

  /** Chunks of all tensors. */
  int chunkCount() {
    return Math.toIntExact(firstChunk[firstChunk.length - 1]);
  }

  /** The index of a tensor's first chunk; that of the tensor after the last is the count. */
  int firstChunk(int tensor) {
    return Math.toIntExact(firstChunk[tensor]);
  }

  /** The tensor that a chunk is of. */
  int tensorOf(int chunk) {
    int low = 0;
    int high = firstChunk.length - 1;
    while (high - low > 1) {
      int middle = (low + high) >>> 1;
      if (firstChunk[middle] <= chunk) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return low;
  }

  /** The index in its tensor of a chunk's first element. */
  long from(int chunk, int tensor) {
    return (chunk - firstChunk[tensor]) * chunkElements;
  }

  /** The index in its tensor after that of a chunk's last element. */
  long to(int chunk, int tensor) {
    return Math.min(counts[tensor], from(chunk, tensor) + chunkElements);
  }
}
