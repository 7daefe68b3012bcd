package dev.lionstore.store.step;

/** How values are saved before a step changes them, so that it can be finished after a kill. */
public enum Saving {
  /** Unit by unit, each before it changes. */
  UNITS,
  /** Chunks whole, in the file {@code undo}, before the first of their values changes. */
  CHUNKS,
  /** By the kernel itself, while it changes them. */
  BY_KERNEL,
  /**
   * Not at all: no gradients are kept to finish the step from. The progress tells which chunks a
   * killed writer had begun.
   */
  NONE
}
