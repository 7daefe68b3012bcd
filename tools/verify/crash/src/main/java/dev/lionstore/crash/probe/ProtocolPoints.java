package dev.lionstore.crash.probe;

/** Is told of every point of the protocol, by any thread, and may end the process there. */
public interface ProtocolPoints {
  /**
   * Before, between and after every store to memory that matters.
   *
   * @param name what has just happened, or is about to
   */
  void reached(String name);

  /** From here on the step must happen. */
  void intended(long nextStep);

  /** From here on the change of masters must happen. */
  default void changeIntended() {}
}
