package dev.lionstore.kernel;

import java.util.List;
import java.util.Optional;

/**
 * A kernel whose device keeps the state between steps. What it has been {@link #attach}ed to stays
 * as it is until the state is stored there. Its steppers are the CPU's: for norms, and for what a
 * killed writer has left.
 */
public interface ResidentKernel extends Kernel {
  @Override
  default Optional<ResidentKernel> resident() {
    return Optional.of(this);
  }

  /**
   * Copies the planes to the device, which keeps them from here on.
   *
   * @throws DeviceException if the device fails
   */
  void load();

  /**
   * Steps the state that the device keeps.
   *
   * @param tensors whole ones; their gradients have been read when this returns
   * @throws DeviceException if the device fails; what it keeps may then be anything
   */
  void step(List<TensorStep> tensors);

  /**
   * Copies what the device keeps into the planes.
   *
   * @throws DeviceException if the device fails; the planes may then be anything
   */
  void store();
}
