package dev.lionstore.kernel;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;

/**
 * The mapped files that a store's steps read and change, whole, writable, each from a page on. The
 * planes of every {@link TensorStep} are parts of them. They are valid until the kernel is closed.
 *
 * <p>The last {@link #SCRATCH_BYTES} of the first page of each belong to nobody: a device may be
 * tried out there. The first page is the store's otherwise, and changes between steps.
 *
 * @param planes the planes of the state, in the layout's order
 * @param gradients the gradient plane, if the store has one
 * @param progress what {@link Undo} writes to
 */
public record StoreMemory(
    List<PlaneFile> planes, Optional<MemorySegment> gradients, MemorySegment progress) {
  /** Where the part of the first page that belongs to nobody begins, in bytes. */
  public static final long SCRATCH_OFFSET = 4032;

  /** How long it is, in bytes. */
  public static final long SCRATCH_BYTES = 64;

  /**
   * A plane of the state.
   *
   * @param memory the file
   * @param firstValue where its first value is, in bytes
   */
  public record PlaneFile(MemorySegment memory, long firstValue) {}

  /** Copies the list. */
  public StoreMemory {
    planes = List.copyOf(planes);
  }
}
