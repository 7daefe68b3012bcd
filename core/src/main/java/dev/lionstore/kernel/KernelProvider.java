package dev.lionstore.kernel;

import dev.lionstore.rule.UpdateRule;
import java.util.List;
import java.util.Optional;

/** A backend, found through {@link java.util.ServiceLoader}. */
public interface KernelProvider {
  /** What the user calls this backend. */
  String backend();

  /** Why this backend serves this machine or not, in a sentence for the user. */
  String reason();

  /** Which backend {@code auto} prefers: the highest that offers the rule. */
  int preference();

  /**
   * Whether its kernels are slow until the JVM has compiled them; then {@code auto} steps with the
   * scalar reference meanwhile.
   */
  default boolean needsWarmUp() {
    return false;
  }

  /**
   * Uses a kernel on memory of its own, every way it can be used, until it is fast.
   *
   * @param kernel one of its own
   */
  default void warmUp(Kernel kernel) {}

  /** Whether it has devices that can be named. */
  default boolean hasDevices() {
    return false;
  }

  /** Its devices that compute a rule's bits, for {@code auto} to try. */
  default List<DeviceCandidate> candidates(UpdateRule rule) {
    return List.of();
  }

  /** Its form of converting gradients, if it has one that is faster than the reference. */
  default Optional<GradientConversion> conversion() {
    return Optional.empty();
  }

  /** Its form of reading masters, if it has one that is faster than the reference. */
  default Optional<MasterConversion> masters() {
    return Optional.empty();
  }

  /**
   * Opens the kernel for a rule, if this backend has one and runs on this machine.
   *
   * @param request for backends that have devices
   * @return who gets it closes it
   * @throws IllegalArgumentException if the device that is asked for is not there, or is refused;
   *     it names those that are there
   */
  Optional<Kernels.Selection> open(UpdateRule rule, DeviceRequest request);
}
