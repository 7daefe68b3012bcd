package dev.lionstore.opencl;

import static org.lwjgl.opencl.CL10.CL_PROGRAM_BUILD_LOG;
import static org.lwjgl.opencl.CL10.clBuildProgram;
import static org.lwjgl.opencl.CL10.clCreateProgramWithSource;
import static org.lwjgl.opencl.CL10.clReleaseProgram;
import static org.lwjgl.opencl.CL10.nclGetProgramBuildInfo;

import dev.lionstore.kernel.DeviceException;
import java.nio.IntBuffer;
import org.lwjgl.PointerBuffer;
import org.lwjgl.system.MemoryStack;
import org.lwjgl.system.MemoryUtil;

/** A source, built for a device. */
final class Program implements AutoCloseable {
  private static final int BUILD_PROGRAM_FAILURE = -11;
  private static final int MOST_LOG_BYTES = 1 << 20;

  private final long id;
  private final String device;

  /**
   * What is built.
   *
   * @param source in OpenCL C
   * @param options for the compiler
   */
  record Build(String source, String options) {}

  /**
   * Builds.
   *
   * @throws DeviceException with the compiler's log, if that fails
   */
  Program(Context context, Build build) {
    this.device = context.device().toString();
    try (MemoryStack stack = MemoryStack.stackPush()) {
      IntBuffer status = stack.mallocInt(1);
      this.id = clCreateProgramWithSource(context.id(), build.source(), status);
      Status.require(status.get(0), "clCreateProgramWithSource on " + device);
      PointerBuffer devices = stack.pointers(context.device().handle().device());
      int built = clBuildProgram(id, devices, build.options(), null, 0);
      if (built != Status.SUCCESS) {
        String log = built == BUILD_PROGRAM_FAILURE ? ":\n" + log(context) : "";
        clReleaseProgram(id);
        throw new DeviceException(
            "clBuildProgram on "
                + device
                + " with "
                + build.options()
                + ": "
                + Status.name(built)
                + log);
      }
    }
  }

  private String log(Context context) {
    long text = MemoryUtil.nmemCallocChecked(1, MOST_LOG_BYTES);
    try {
      int status =
          nclGetProgramBuildInfo(
              id,
              context.device().handle().device(),
              CL_PROGRAM_BUILD_LOG,
              MOST_LOG_BYTES - 1,
              text,
              MemoryUtil.NULL);
      return status == Status.SUCCESS
          ? MemoryUtil.memUTF8(text).strip()
          : "no log: " + Status.name(status);
    } finally {
      MemoryUtil.nmemFree(text);
    }
  }

  /** Its cl_program. */
  long id() {
    return id;
  }

  /** The device that it is built for, in words. */
  String device() {
    return device;
  }

  @Override
  public void close() {
    clReleaseProgram(id);
  }
}
