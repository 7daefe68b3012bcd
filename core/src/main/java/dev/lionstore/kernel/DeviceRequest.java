package dev.lionstore.kernel;

/**
 * Which device of a backend is wanted, and how it is to be used.
 *
 * @param name what stands after the colon of {@code opencl:1}: an index, or a part of the device's
 *     name; empty for the backend's first one
 * @param options how it is used
 */
public record DeviceRequest(String name, DeviceOptions options) {}
