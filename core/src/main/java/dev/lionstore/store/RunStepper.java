package dev.lionstore.store;

import dev.lionstore.kernel.TensorStep;

/**
 * Steps consecutive chunks of a tensor at once, for one thread. Each chunk that it changes has a
 * slot of its own in the progress, as if a worker of its own stepped it; so one that is killed is
 * recovered from as killed workers are.
 */
interface RunStepper extends AutoCloseable {
  /** How many chunks it takes at once. */
  int chunksAtOnce();

  /** Whether it can step so that a kill can be recovered from; else the CPU must. */
  boolean canSave();

  /**
   * Steps chunks so that they can be finished after a kill.
   *
   * @param chunk the first one
   * @param from the index in the tensor of its first element
   * @param to the index after that of the last chunk's last element
   */
  void apply(TensorStep tensor, int chunk, long from, long to, long nextStep);

  /**
   * Steps chunks without a way back. The progress tells which ones a killed writer had begun; the
   * parameters are those of {@link #apply}.
   */
  void applyUnkept(TensorStep tensor, int chunk, long from, long to, long nextStep);

  /** Told when the chunks that it stepped last are stamped. */
  default void stamped() {}

  @Override
  void close();
}
