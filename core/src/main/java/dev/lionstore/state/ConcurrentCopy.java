package dev.lionstore.state;

/**
 * Somebody who copies the state of one step while the next ones run. Steps tell it of every part of
 * a tensor before they change it, so that it can be copied first.
 */
public interface ConcurrentCopy {
  /**
   * Elements are about to change, in every plane that the tensor has. Called by each worker of a
   * step, for each chunk; returns when the elements may change. It must not throw: the step has
   * begun, and a copy that cannot be completed is no reason to stop it.
   *
   * @param tensor its index in the layout
   * @param from the index of the first element
   * @param to the index after the last element
   */
  void beforeChange(int tensor, long from, long to);

  /** The store is being closed: nothing of it may be read when this returns. */
  void stop();
}
