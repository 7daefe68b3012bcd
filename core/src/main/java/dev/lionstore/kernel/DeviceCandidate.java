package dev.lionstore.kernel;

import java.util.List;

/**
 * A device that computes a rule's bits, for {@code auto} to try.
 *
 * @param backend as the user names it, for instance {@code opencl:1}
 * @param identity what it is, in a line that changes with the device and its driver
 * @param ways in which it may reach the state
 */
public record DeviceCandidate(String backend, String identity, List<DeviceOptions.Memory> ways) {
  /** Copies the list. */
  public DeviceCandidate {
    ways = List.copyOf(ways);
  }
}
