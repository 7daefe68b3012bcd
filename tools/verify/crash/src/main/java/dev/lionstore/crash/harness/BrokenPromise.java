package dev.lionstore.crash.harness;

/** What was left after a kill or a power cut is not what the store promises. */
public final class BrokenPromise extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** What was found. */
  public BrokenPromise(String message) {
    super(message);
  }

  /** What was found, and what said so. */
  public BrokenPromise(String message, Throwable cause) {
    super(message, cause);
  }
}
