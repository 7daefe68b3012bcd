package dev.lionstore.opencl.driver;

import static org.lwjgl.opencl.CL10.CL_DEVICE_GLOBAL_MEM_SIZE;
import static org.lwjgl.opencl.CL10.CL_DEVICE_MAX_MEM_ALLOC_SIZE;
import static org.lwjgl.opencl.CL10.CL_DEVICE_MEM_BASE_ADDR_ALIGN;
import static org.lwjgl.opencl.CL10.CL_DEVICE_NAME;
import static org.lwjgl.opencl.CL10.CL_DEVICE_SINGLE_FP_CONFIG;
import static org.lwjgl.opencl.CL10.CL_DEVICE_TYPE;
import static org.lwjgl.opencl.CL10.CL_DEVICE_TYPE_ALL;
import static org.lwjgl.opencl.CL10.CL_DEVICE_TYPE_CPU;
import static org.lwjgl.opencl.CL10.CL_DEVICE_TYPE_GPU;
import static org.lwjgl.opencl.CL10.CL_DEVICE_VENDOR;
import static org.lwjgl.opencl.CL10.CL_DEVICE_VERSION;
import static org.lwjgl.opencl.CL10.CL_DRIVER_VERSION;
import static org.lwjgl.opencl.CL10.CL_FP_DENORM;
import static org.lwjgl.opencl.CL10.CL_PLATFORM_NAME;
import static org.lwjgl.opencl.CL10.CL_PLATFORM_VERSION;
import static org.lwjgl.opencl.CL10.clGetDeviceIDs;
import static org.lwjgl.opencl.CL10.clGetPlatformIDs;
import static org.lwjgl.opencl.CL10.nclGetDeviceInfo;
import static org.lwjgl.opencl.CL10.nclGetPlatformInfo;
import static org.lwjgl.opencl.CL11.CL_DEVICE_HOST_UNIFIED_MEMORY;
import static org.lwjgl.opencl.CL12.CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT;
import static org.lwjgl.opencl.CL12.CL_FP_FMA;

import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;
import org.lwjgl.PointerBuffer;
import org.lwjgl.system.MemoryStack;
import org.lwjgl.system.MemoryUtil;

/** Finds devices. */
public final class Devices {
  private static final int MOST_TEXT_BYTES = 4096;

  private Devices() {}

  /** Every device of every platform; none if there is no loader or no driver. */
  public static List<Device> list() {
    List<Device> devices = new ArrayList<>();
    if (Library.missing().isEmpty()) {
      for (long platform : platforms()) {
        for (long device : devices(platform)) {
          devices.add(describe(devices.size(), new Device.Handle(platform, device)));
        }
      }
    }
    return devices;
  }

  /**
   * The device that is wanted.
   *
   * @param name an index, a part of a device's name in any case, or nothing for the first device
   * @throws IllegalArgumentException if there is none, or several have such a name; it says what
   *     there is, or what to install
   */
  public static Device named(String name) {
    if (Library.missing().isPresent()) {
      throw new IllegalArgumentException(Library.missing().get());
    }
    List<Device> all = list();
    if (all.isEmpty()) {
      throw new IllegalArgumentException(
          "there is an OpenCL loader but no device: install a driver (Debian, for the CPU:"
              + " pocl-opencl-icd)");
    }
    List<Device> found = all.stream().filter(device -> matches(device, name)).toList();
    if (found.isEmpty() || (found.size() > 1 && !name.isEmpty())) {
      throw new IllegalArgumentException(
          (found.isEmpty() ? "no OpenCL device is called " : "several OpenCL devices are called ")
              + name
              + "; there are "
              + all.stream().map(Device::toString).collect(Collectors.joining(", ")));
    }
    return found.getFirst();
  }

  private static boolean matches(Device device, String name) {
    boolean number = !name.isEmpty() && name.chars().allMatch(c -> c >= '0' && c <= '9');
    return number
        ? Integer.toString(device.index()).equals(name)
        : device.identity().name().toLowerCase(Locale.ROOT).contains(name.toLowerCase(Locale.ROOT));
  }

  private static long[] platforms() {
    try (MemoryStack stack = MemoryStack.stackPush()) {
      IntBuffer count = stack.mallocInt(1);
      int status = clGetPlatformIDs(null, count);
      if (status == Status.PLATFORM_NOT_FOUND || (status == Status.SUCCESS && count.get(0) == 0)) {
        return new long[0];
      }
      Status.require(status, "clGetPlatformIDs");
      PointerBuffer found = stack.mallocPointer(count.get(0));
      Status.require(clGetPlatformIDs(found, (IntBuffer) null), "clGetPlatformIDs");
      return all(found);
    }
  }

  private static long[] devices(long platform) {
    try (MemoryStack stack = MemoryStack.stackPush()) {
      IntBuffer count = stack.mallocInt(1);
      int status = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, null, count);
      if (status == Status.DEVICE_NOT_FOUND || (status == Status.SUCCESS && count.get(0) == 0)) {
        return new long[0];
      }
      Status.require(status, "clGetDeviceIDs");
      PointerBuffer found = stack.mallocPointer(count.get(0));
      Status.require(
          clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, found, (IntBuffer) null), "clGetDeviceIDs");
      return all(found);
    }
  }

  private static long[] all(PointerBuffer pointers) {
    long[] values = new long[pointers.remaining()];
    for (int i = 0; i < values.length; i++) {
      values[i] = pointers.get(i);
    }
    return values;
  }

  private static Device describe(int index, Device.Handle handle) {
    long device = handle.device();
    Device.Identity identity =
        new Device.Identity(
            platformText(handle.platform(), CL_PLATFORM_NAME),
            platformText(handle.platform(), CL_PLATFORM_VERSION),
            text(device, CL_DEVICE_NAME),
            text(device, CL_DEVICE_VENDOR),
            text(device, CL_DEVICE_VERSION),
            text(device, CL_DRIVER_VERSION),
            type(number(device, CL_DEVICE_TYPE)));
    Device.Memory memory =
        new Device.Memory(
            number(device, CL_DEVICE_GLOBAL_MEM_SIZE),
            number(device, CL_DEVICE_MAX_MEM_ALLOC_SIZE),
            (int) number(device, CL_DEVICE_MEM_BASE_ADDR_ALIGN) / Byte.SIZE);
    return new Device(index, handle, identity, memory, features(device));
  }

  private static Device.Type type(long bits) {
    if ((bits & CL_DEVICE_TYPE_CPU) != 0) {
      return Device.Type.CPU;
    }
    return (bits & CL_DEVICE_TYPE_GPU) != 0 ? Device.Type.GPU : Device.Type.OTHER;
  }

  private static Set<Device.Feature> features(long device) {
    Set<Device.Feature> features = EnumSet.noneOf(Device.Feature.class);
    long floats = number(device, CL_DEVICE_SINGLE_FP_CONFIG);
    if (number(device, CL_DEVICE_HOST_UNIFIED_MEMORY) != 0) {
      features.add(Device.Feature.UNIFIED_MEMORY);
    }
    if ((floats & CL_FP_DENORM) != 0) {
      features.add(Device.Feature.SUBNORMALS);
    }
    if ((floats & CL_FP_FMA) != 0) {
      features.add(Device.Feature.FMA);
    }
    if ((floats & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT) != 0) {
      features.add(Device.Feature.EXACT_DIVISION);
    }
    return features;
  }

  /** Of 4 or 8 bytes: drivers leave the upper half alone where there are 4. */
  private static long number(long device, int what) {
    try (MemoryStack stack = MemoryStack.stackPush()) {
      long value = stack.ncalloc(Long.BYTES, 1, Long.BYTES);
      Status.require(
          nclGetDeviceInfo(device, what, Long.BYTES, value, MemoryUtil.NULL), "clGetDeviceInfo");
      return MemoryUtil.memGetLong(value);
    }
  }

  private static String text(long device, int what) {
    try (MemoryStack stack = MemoryStack.stackPush()) {
      long value = stack.ncalloc(1, MOST_TEXT_BYTES, 1);
      Status.require(
          nclGetDeviceInfo(device, what, MOST_TEXT_BYTES - 1, value, MemoryUtil.NULL),
          "clGetDeviceInfo");
      return MemoryUtil.memUTF8(value).strip();
    }
  }

  private static String platformText(long platform, int what) {
    try (MemoryStack stack = MemoryStack.stackPush()) {
      long value = stack.ncalloc(1, MOST_TEXT_BYTES, 1);
      Status.require(
          nclGetPlatformInfo(platform, what, MOST_TEXT_BYTES - 1, value, MemoryUtil.NULL),
          "clGetPlatformInfo");
      return MemoryUtil.memUTF8(value).strip();
    }
  }
}
