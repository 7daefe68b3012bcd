package dev.lionstore.kernel;

/**
 * A device has failed: it is lost, out of memory, or cannot be driven. In a step, the store is then
 * as after a kill: closed and opened again, with any backend, it finishes the step.
 */
public class DeviceException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /** What failed, on which device, and what it answered, in a sentence. */
  public DeviceException(String message) {
    super(message);
  }

  /** The same with what caused it. */
  public DeviceException(String message, Throwable cause) {
    super(message, cause);
  }
}
