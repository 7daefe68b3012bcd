package dev.lionstore.opencl.driver;

import static org.lwjgl.opencl.CL10.CL_CONTEXT_PLATFORM;
import static org.lwjgl.opencl.CL10.clReleaseContext;
import static org.lwjgl.opencl.CL10.nclCreateContext;

import dev.lionstore.kernel.DeviceException;
import java.util.HashMap;
import java.util.Map;
import org.lwjgl.PointerBuffer;
import org.lwjgl.system.MemoryStack;
import org.lwjgl.system.MemoryUtil;

/**
 * What a process holds of a device: everything else is made in it, and closed before it.
 * Thread-safe.
 */
public class Context implements Closers.Closer {
  private final Device device;
  private final long id;
  private final Map<Program.Build, Program> programs = new HashMap<>();

  /**
   * Opens a device.
   *
   * @throws DeviceException if the driver refuses
   */
  public Context(Device device) {
    this.device = device;
    try (MemoryStack stack = MemoryStack.stackPush()) {
      PointerBuffer properties =
          stack.pointers(CL_CONTEXT_PLATFORM, device.handle().platform(), MemoryUtil.NULL);
      PointerBuffer devices = stack.pointers(device.handle().device());
      long status = stack.nmalloc(Integer.BYTES);
      this.id =
          nclCreateContext(
              properties.address(), 1, devices.address(), MemoryUtil.NULL, MemoryUtil.NULL, status);
      Status.require(MemoryUtil.memGetInt(status), "clCreateContext on " + device);
    }
  }

  public Device device() {
    return device;
  }

  /** Its cl_context. */
  long id() {
    return id;
  }

  /** A new queue of its commands. */
  public Queue newQueue() {
    return new Queue(this);
  }

  /**
   * A program, built once in the life of this.
   *
   * @throws DeviceException with the compiler's log, if it does not build
   */
  public synchronized Program program(Program.Build build) {
    return programs.computeIfAbsent(build, wanted -> new Program(this, wanted));
  }

  @Override
  public void close() {
    programs.values().forEach(Program::close);
    programs.clear();
    clReleaseContext(id);
  }
}
