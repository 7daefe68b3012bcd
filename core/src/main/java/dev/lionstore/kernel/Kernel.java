package dev.lionstore.kernel;

import dev.lionstore.rule.UpdateRule;
import java.util.List;
import java.util.Optional;

/**
 * A backend's form of a store's update rule or rules, opened for one store and closed with it.
 * Thread-safe.
 *
 * <p>What a device holds for it is freed by closing it, after its steppers. Those of the CPU hold
 * nothing.
 */
public interface Kernel extends AutoCloseable {
  /** What tensors are aligned and padded to, in elements. */
  int ALIGNMENT = 64;

  /**
   * The longest slice that {@link Stepper#apply} takes, in elements. Slices start at multiples of
   * {@link #ALIGNMENT}.
   */
  int MAX_SLICE = 1024;

  /** What the user calls this backend. */
  String backend();

  /** The rule that it computes; of several, the first. */
  UpdateRule rule();

  /** How its bits differ from the reference's, in a few words; empty if they do not. */
  default String nonconformance() {
    return "";
  }

  /** What its steppers take at once. */
  default Unit unit() {
    return Unit.SLICE;
  }

  /** What steppers take at once, and what is saved before it changes. */
  enum Unit {
    /** A slice of at most {@link #MAX_SLICE} elements: the CPU's way. */
    SLICE,
    /**
     * Whole chunks of a tensor: a device's way. When a stepper returns, they are in the planes as
     * the CPU sees them: the device has finished, and what it had mapped is unmapped.
     */
    CHUNK,
    /**
     * Whole chunks of a tensor, which the kernel saves itself while it changes them: the way of a
     * device whose stores are the CPU's, in the order of its program.
     */
    SAVED_CHUNK
  }

  /**
   * How many consecutive chunks of a tensor its steppers take at once.
   *
   * @param chunkElements elements of a chunk
   */
  default int chunksAtOnce(int chunkElements) {
    return 1;
  }

  /**
   * Is told, once and before the first stepper, which memory it will see. {@link #unit} is settled
   * then.
   *
   * @return how it reaches that memory, in a few words for the user; empty for the CPU's kernels
   * @throws IllegalArgumentException if it cannot reach it in the way that was asked for
   */
  default String attach(StoreMemory memory) {
    return "";
  }

  /**
   * Is told, when a store is opened, how much its steps will be.
   *
   * @param elements all that a step may change
   */
  default void willStep(long elements) {}

  /**
   * Is told how much is to be stepped next, and returns when it is best begun.
   *
   * @param elements all that will be stepped
   */
  default void prepare(long elements) {}

  /** This kernel as one whose device keeps the state between steps, if it is one. */
  default Optional<ResidentKernel> resident() {
    return Optional.empty();
  }

  /** A new stepper, for one thread at a time; it owns whatever scratch memory it needs. */
  Stepper newStepper();

  /** What sums squares of gradients beside it, for one thread at a time. */
  default SquareSum newSquareSum() {
    return new ScalarSquareSum();
  }

  /** What looks at tensors before they are stepped, for one thread at a time. */
  default TensorLook newLook() {
    return new ScalarLooks();
  }

  /** Frees what it holds; its steppers have been closed. */
  @Override
  default void close() {}

  /** One thread's arithmetic. */
  interface Stepper extends AutoCloseable {
    /**
     * Steps consecutive elements of a tensor in place.
     *
     * @param from the index of the first element in the tensor, a multiple of {@link #ALIGNMENT}
     * @param count how many elements, at most {@link #MAX_SLICE} or those of the chunks that are
     *     taken at once (see {@link #unit})
     * @throws DeviceException if a device fails; the elements may be in any state
     */
    void apply(TensorStep tensor, long from, int count);

    /**
     * The same with a slice, saving every value before it changes.
     *
     * @param undo where; it has the slice's chunk in hand
     */
    default void apply(TensorStep tensor, long from, int count, Undo undo) {
      for (int done = 0; done < count; done += Undo.UNIT) {
        int unit = Math.min(Undo.UNIT, count - done);
        undo.save(tensor, from + done, unit);
        apply(tensor, from + done, unit);
      }
    }

    /**
     * The same with whole chunks, saving every value before it changes, in the protocol of {@link
     * Undo}: for kernels of {@link Unit#SAVED_CHUNK}.
     *
     * @param undo where, for each chunk; each has its chunk in hand, and all are equally far apart
     * @param chunkElements elements of every chunk but the last
     * @throws DeviceException if the device fails
     */
    default void apply(
        TensorStep tensor, long from, int count, List<Undo> undo, int chunkElements) {
      throw new UnsupportedOperationException("chunks are saved for this kernel");
    }

    /** Waits for what it has begun, and frees what it holds. */
    @Override
    default void close() {}
  }
}
