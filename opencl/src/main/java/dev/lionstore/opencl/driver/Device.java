package dev.lionstore.opencl.driver;

import java.util.Set;

/**
 * A device as its driver describes it.
 *
 * @param index among the devices of all platforms, from 0, in the loader's order
 * @param handle what OpenCL calls it in this process
 * @param identity what it is
 * @param memory what it has
 * @param features what it says of itself
 */
public record Device(
    int index, Handle handle, Identity identity, Memory memory, Set<Feature> features) {
  /** Copies the set. */
  public Device {
    features = Set.copyOf(features);
  }

  /**
   * What OpenCL calls it in this process.
   *
   * @param platform its cl_platform_id
   * @param device its cl_device_id
   */
  public record Handle(long platform, long device) {}

  /**
   * What a device is; a verdict about it is good for as long as none of this changes.
   *
   * @param platform the name of its platform: the driver's implementation
   * @param platformVersion of that
   * @param name its own
   * @param vendor its maker
   * @param deviceVersion the OpenCL that it offers
   * @param driverVersion of its driver
   * @param type what kind of device it is
   */
  public record Identity(
      String platform,
      String platformVersion,
      String name,
      String vendor,
      String deviceVersion,
      String driverVersion,
      Type type) {}

  /**
   * What memory a device has.
   *
   * @param globalBytes all of it
   * @param largestBufferBytes the most that one buffer may have
   * @param baseAlignBytes what the host's memory is aligned to if it is to be used in place
   */
  public record Memory(long globalBytes, long largestBufferBytes, int baseAlignBytes) {}

  /** Kinds of devices. */
  public enum Type {
    /** The cores that run this process. */
    CPU,
    /** A graphics processor. */
    GPU,
    /** Anything else. */
    OTHER
  }

  /** What a device may say of itself; none of it is believed where it decides bits. */
  public enum Feature {
    /** It has the host's memory. */
    UNIFIED_MEMORY,
    /** CL_FP_DENORM of float32. */
    SUBNORMALS,
    /** CL_FP_FMA of float32. */
    FMA,
    /** CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT of float32. */
    EXACT_DIVISION
  }

  /** Whether it says that it works in the host's memory. */
  public boolean sharesMemory() {
    return features.contains(Feature.UNIFIED_MEMORY) || identity.type() == Type.CPU;
  }

  /** In a few words: index, name and platform. */
  @Override
  public String toString() {
    return index + ": " + identity.name() + " (" + identity.platform() + ")";
  }
}
