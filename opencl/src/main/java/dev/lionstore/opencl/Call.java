package dev.lionstore.opencl;

import static org.lwjgl.opencl.CL10.clCreateKernel;
import static org.lwjgl.opencl.CL10.clReleaseKernel;
import static org.lwjgl.opencl.CL10.clSetKernelArg1f;
import static org.lwjgl.opencl.CL10.clSetKernelArg1i;
import static org.lwjgl.opencl.CL10.clSetKernelArg1l;
import static org.lwjgl.opencl.CL10.clSetKernelArg1p;

import java.nio.IntBuffer;
import org.lwjgl.system.MemoryStack;

/** A program's entry and the arguments of its next run. Arguments are set one after another. */
final class Call implements AutoCloseable {
  private final long id;
  private final String name;
  private int next;

  Call(Program program, String entry) {
    this.name = entry + " on " + program.device();
    try (MemoryStack stack = MemoryStack.stackPush()) {
      IntBuffer status = stack.mallocInt(1);
      this.id = clCreateKernel(program.id(), entry, status);
      Status.require(status.get(0), "clCreateKernel " + name);
    }
  }

  /** Its cl_kernel. */
  long id() {
    return id;
  }

  /** Entry and device, in words. */
  String name() {
    return name;
  }

  /** Begins anew with the first argument. */
  Call begin() {
    next = 0;
    return this;
  }

  Call argument(DeviceBuffer buffer) {
    return set(clSetKernelArg1p(id, next, buffer.id()));
  }

  Call argument(long value) {
    return set(clSetKernelArg1l(id, next, value));
  }

  Call argument(int value) {
    return set(clSetKernelArg1i(id, next, value));
  }

  Call argument(float value) {
    return set(clSetKernelArg1f(id, next, value));
  }

  private Call set(int status) {
    Status.require(status, "clSetKernelArg " + next + " of " + name);
    next++;
    return this;
  }

  @Override
  public void close() {
    clReleaseKernel(id);
  }
}
