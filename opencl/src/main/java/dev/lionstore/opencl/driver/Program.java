package dev.lionstore.opencl.driver;

import static org.lwjgl.opencl.CL10.CL_PROGRAM_BUILD_LOG;
import static org.lwjgl.opencl.CL10.clBuildProgram;
import static org.lwjgl.opencl.CL10.clCreateProgramWithSource;
import static org.lwjgl.opencl.CL10.clReleaseProgram;
import static org.lwjgl.opencl.CL10.nclGetProgramBuildInfo;

import dev.lionstore.kernel.DeviceException;
import dev.lionstore.os.SignalHandlers;
import java.nio.IntBuffer;
import java.util.concurrent.atomic.AtomicInteger;
import org.lwjgl.PointerBuffer;
import org.lwjgl.system.MemoryStack;
import org.lwjgl.system.MemoryUtil;

/** A source, built for a device. */
public final class Program implements AutoCloseable {
  private static final int BUILD_PROGRAM_FAILURE = -11;
  private static final int MOST_LOG_BYTES = 1 << 20;

  /**
   * A compiler on LLVM (PoCL's) takes the process's signals when it first writes a file, and
   * deletes that file on any SIGSEGV. The JVM raises those all the time: the build fails by chance.
   * LLVM takes them once: when they have been given back, later builds are safe.
   */
  private static final int MOST_ATTEMPTS = 16;

  private final long id;
  private final String device;

  /**
   * What is built.
   *
   * @param source in OpenCL C
   * @param options for the compiler
   */
  public record Build(String source, String options) {}

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
      int built = buildKeepingSignals(context, build.options());
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

  private int buildKeepingSignals(Context context, String options) {
    AtomicInteger built = new AtomicInteger(BUILD_PROGRAM_FAILURE);
    // One at a time: the process has one set of handlers.
    synchronized (Program.class) {
      for (int attempt = 1;
          attempt <= MOST_ATTEMPTS && built.get() == BUILD_PROGRAM_FAILURE;
          attempt++) {
        SignalHandlers.keep(() -> built.set(build(context, options)));
      }
    }
    return built.get();
  }

  private int build(Context context, String options) {
    try (MemoryStack stack = MemoryStack.stackPush()) {
      PointerBuffer devices = stack.pointers(context.device().handle().device());
      return clBuildProgram(id, devices, options, null, 0);
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
