package dev.lionstore.opencl.driver;

import static org.lwjgl.opencl.CL10.CL_MEM_ALLOC_HOST_PTR;
import static org.lwjgl.opencl.CL10.CL_MEM_READ_ONLY;
import static org.lwjgl.opencl.CL10.CL_MEM_READ_WRITE;
import static org.lwjgl.opencl.CL10.CL_MEM_USE_HOST_PTR;
import static org.lwjgl.opencl.CL10.clReleaseMemObject;
import static org.lwjgl.opencl.CL10.nclCreateBuffer;

import java.lang.foreign.MemorySegment;
import org.lwjgl.system.MemoryStack;
import org.lwjgl.system.MemoryUtil;

/** Memory that a device can use. */
public final class DeviceBuffer implements Closers.Closer {
  private final long id;
  private final long bytes;

  private DeviceBuffer(Context context, long flags, long bytes, long address) {
    this.bytes = bytes;
    try (MemoryStack stack = MemoryStack.stackPush()) {
      long status = stack.nmalloc(Integer.BYTES);
      this.id = nclCreateBuffer(context.id(), flags, bytes, address, status);
      Status.require(
          MemoryUtil.memGetInt(status),
          "clCreateBuffer of " + bytes + " bytes on " + context.device());
    }
  }

  /** Of the device's own memory. */
  public static DeviceBuffer allocate(Context context, long bytes) {
    return new DeviceBuffer(context, CL_MEM_READ_WRITE, bytes, MemoryUtil.NULL);
  }

  /** Of the host's memory where the device's transfers are fastest. */
  static DeviceBuffer pinned(Context context, long bytes) {
    return new DeviceBuffer(
        context, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, bytes, MemoryUtil.NULL);
  }

  /** The host's memory itself; it stays valid until this is closed. */
  public static DeviceBuffer over(Context context, MemorySegment memory) {
    return new DeviceBuffer(
        context,
        (memory.isReadOnly() ? CL_MEM_READ_ONLY : CL_MEM_READ_WRITE) | CL_MEM_USE_HOST_PTR,
        memory.byteSize(),
        memory.address());
  }

  /** Its cl_mem. */
  long id() {
    return id;
  }

  /** Its size. */
  public long bytes() {
    return bytes;
  }

  @Override
  public void close() {
    clReleaseMemObject(id);
  }
}
