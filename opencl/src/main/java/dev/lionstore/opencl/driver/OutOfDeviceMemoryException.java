package dev.lionstore.opencl.driver;

import dev.lionstore.kernel.DeviceException;

/** A device has less memory than was asked of it. */
public final class OutOfDeviceMemoryException extends DeviceException {
  private static final long serialVersionUID = 1;

  OutOfDeviceMemoryException(String message) {
    super(message);
  }
}
