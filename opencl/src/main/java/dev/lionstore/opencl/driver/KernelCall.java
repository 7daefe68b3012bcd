package dev.lionstore.opencl.driver;

import static org.lwjgl.opencl.CL10.clCreateKernel;
import static org.lwjgl.opencl.CL10.clReleaseKernel;
import static org.lwjgl.opencl.CL10.clSetKernelArg1f;
import static org.lwjgl.opencl.CL10.clSetKernelArg1i;
import static org.lwjgl.opencl.CL10.clSetKernelArg1l;
import static org.lwjgl.opencl.CL10.clSetKernelArg1p;

import java.nio.IntBuffer;
import org.lwjgl.system.MemoryStack;

/** A program's entry and the arguments of its next run. Arguments are set one after another. */
public final class KernelCall implements AutoCloseable {
  private final long id;
  private final String name;
  private int next;

  public KernelCall(Program program, String entry) {
    this.name = entry + " on " + program.device();
    try (MemoryStack stack = MemoryStack.stackPush()) {
      IntBuffer status = stack.mallocInt(1);
      this.id = clCreateKernel(program.id(), entry, status);
      Status.require(status.get(0), "clCreateKernel " + name);
    }
  }

  /** Its cl_kernel. */
  public long id() {
    return id;
  }

  /** Entry and device, in words. */
  public String name() {
    return name;
  }

  /** Begins anew with the first argument. */
  public KernelCall begin() {
    next = 0;
    return this;
  }

  public KernelCall argument(DeviceBuffer buffer) {
    return set(clSetKernelArg1p(id, next, buffer.id()));
  }

  public KernelCall argument(long value) {
    return set(clSetKernelArg1l(id, next, value));
  }

  public KernelCall argument(int value) {
    return set(clSetKernelArg1i(id, next, value));
  }

  public KernelCall argument(float value) {
    return set(clSetKernelArg1f(id, next, value));
  }

  private KernelCall set(int status) {
    Status.require(status, "clSetKernelArg " + next + " of " + name);
    next++;
    return this;
  }

  @Override
  public void close() {
    clReleaseKernel(id);
  }
}
