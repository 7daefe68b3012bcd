package dev.lionstore.kernel;

/**
 * How a store uses a device; the CPU's backends have no use for it.
 *
 * @param memory how the device reaches the state
 * @param memoryBytes the most memory of the device that may be used, in bytes
 * @param conformance what becomes of a device that computes other bits than the reference
 */
public record DeviceOptions(Memory memory, long memoryBytes, Conformance conformance) {
  /** A quarter of a GiB: enough to keep a bus busy, little beside a model. */
  private static final long DEFAULT_MEMORY_BYTES = 1L << 28;

  /** How a device reaches the state. */
  public enum Memory {
    /** In place where that is proved to copy nothing, else streaming. */
    AUTO,
    /** The device works on the mapped planes themselves. */
    IN_PLACE,
    /** Pieces of the planes go to the device and come back. */
    STREAMING,
    /** The device keeps the state; a kill loses the steps since the planes were refreshed. */
    RESIDENT
  }

  /** What becomes of a device that fails its self-test. */
  public enum Conformance {
    /** It is refused. */
    REQUIRED,
    /** It steps all the same: the store's bits are then the device's own. */
    WAIVED
  }

  /** Validates. */
  public DeviceOptions {
    if (memoryBytes <= 0) {
      throw new IllegalArgumentException(
          "device memory is " + memoryBytes + " bytes, expected more than 0");
    }
  }

  /** The memory that suits the device, at most 256 MiB of its own, and conformance required. */
  public static DeviceOptions defaults() {
    return new DeviceOptions(Memory.AUTO, DEFAULT_MEMORY_BYTES, Conformance.REQUIRED);
  }

  /** The same with another way to the state. */
  public DeviceOptions withMemory(Memory newMemory) {
    return new DeviceOptions(newMemory, memoryBytes, conformance);
  }

  /** The same with another bound of the device's own memory, in bytes. */
  public DeviceOptions withMemoryBytes(long newMemoryBytes) {
    return new DeviceOptions(memory, newMemoryBytes, conformance);
  }

  /** The same with another answer to a failed self-test. */
  public DeviceOptions withConformance(Conformance newConformance) {
    return new DeviceOptions(memory, memoryBytes, newConformance);
  }
}
