package dev.lionstore.store.file;

import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.state.StoreLayout;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;

/**
 * Where everything stands in the planes. Trainable tensors come first, then frozen ones, each kind
 * in name order, each tensor on a boundary of {@link Kernel#ALIGNMENT} elements; frozen ones are in
 * the master's planes alone. A plane of a state that not every trainable tensor has holds those
 * that have it, in the same order, without gaps. A tensor's element has the same index in all other
 * planes.
 *
 * <p>A chunk is the unit of scheduling and of stamps: consecutive elements of one tensor.
 */
public final class Geometry {
  private final long[] counts;
  private final long[] firstElement;
  private final Map<String, Partial> partial = new HashMap<>();
  private final long[] firstChunk;
  private final long trainableElements;
  private final long allElements;
  private final int chunkElements;

  /** The places in a plane that some trainable tensors lack. */
  private record Partial(long[] firstElement, long elements) {}

  public Geometry(StoreLayout layout, int chunkElements) {
    List<TensorSpec> tensors = layout.tensors();
    this.chunkElements = chunkElements;
    this.counts = tensors.stream().mapToLong(TensorSpec::count).toArray();
    this.firstElement = new long[tensors.size()];
    this.firstChunk = new long[tensors.size() + 1];
    this.trainableElements = place(tensors, TensorSpec::trainable, firstElement, 0);
    this.allElements =
        place(tensors, tensor -> !tensor.trainable(), firstElement, trainableElements);
    placeStates(layout);
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

  private void placeStates(StoreLayout layout) {
    List<UpdateRule> rules = layout.steppedRules();
    for (Plane plane : layout.planes().subList(Plane.MASTER.size(), layout.planes().size())) {
      Set<UpdateRule> having = new HashSet<>(rules);
      having.removeIf(rule -> rule.statePlanes().stream().noneMatch(plane::isStoredAs));
      if (having.size() < rules.size()) {
        long[] places = new long[layout.tensors().size()];
        long elements =
            place(
                layout.tensors(),
                tensor -> tensor.trainable() && having.contains(layout.ruleOf(tensor)),
                places,
                0);
        partial.put(plane.name(), new Partial(places, elements));
      }
    }
  }

  private static long place(
      List<TensorSpec> tensors, Predicate<TensorSpec> placed, long[] places, long from) {
    long next = from;
    for (int t = 0; t < tensors.size(); t++) {
      if (placed.test(tensors.get(t))) {
        places[t] = next;
        next = Math.addExact(next, padded(tensors.get(t).count()));
      }
    }
    return next;
  }

  /** A count rounded up to the alignment. */
  public static long padded(long count) {
    return Math.addExact(count, Kernel.ALIGNMENT - 1) & -Kernel.ALIGNMENT;
  }

  /** The index of a tensor's first element in a plane that has it. */
  public long firstElement(Plane plane, int tensor) {
    Partial own = partial.get(plane.name());
    return own == null ? firstElement[tensor] : own.firstElement()[tensor];
  }

  /** Elements of a plane, padding included. */
  public long elements(Plane plane) {
    Partial own = partial.get(plane.name());
    if (own != null) {
      return own.elements();
    }
    return Plane.MASTER.contains(plane) ? allElements : trainableElements;
  }

  /** Elements of trainable tensors, padding included. */
  public long trainableElements() {
    return trainableElements;
  }

  /** Elements of a chunk; a tensor's last one may have fewer. */
  public int chunkElements() {
    return chunkElements;
  }

  /** Chunks of all tensors. */
  public int chunkCount() {
    return Math.toIntExact(firstChunk[firstChunk.length - 1]);
  }

  /** The index of a tensor's first chunk; that of the tensor after the last is the count. */
  public int firstChunk(int tensor) {
    return Math.toIntExact(firstChunk[tensor]);
  }

  /** The tensor that a chunk is of. */
  public int tensorOf(int chunk) {
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
  public long from(int chunk, int tensor) {
    return (chunk - firstChunk[tensor]) * chunkElements;
  }

  /** The index in its tensor after that of a chunk's last element. */
  public long to(int chunk, int tensor) {
    return Math.min(counts[tensor], from(chunk, tensor) + chunkElements);
  }
}
