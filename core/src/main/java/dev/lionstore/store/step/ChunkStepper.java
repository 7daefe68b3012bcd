package dev.lionstore.store.step;

import dev.lionstore.kernel.TensorStep;

/**
 * Steps consecutive chunks of a tensor at once, for one thread. Each chunk that it changes has a
 * slot of its own in the progress, as if a worker of its own stepped it; so one that is killed is
 * recovered from as killed workers are.
 */
sealed interface ChunkStepper extends AutoCloseable
    permits MappedStepper, DeviceStepper, DirectStepper {
  /** How many chunks it takes at once. */
  int chunksAtOnce();

  /** How it saves what it changes. */
  Saving saving();

  /** Whether there is room to save it. */
  boolean canSave();

  /**
   * Steps chunks.
   *
   * @param chunk the first one
   * @param from the index in the tensor of its first element
   * @param to the index after that of the last chunk's last element
   * @param with {@link #saving} or {@link Saving#NONE}
   */
  void apply(TensorStep tensor, int chunk, long from, long to, long nextStep, Saving with);

  /** The chunks that it stepped last are stamped. */
  default void stamped() {}

  @Override
  void close();
}
