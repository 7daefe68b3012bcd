package dev.lionstore.opencl;

import java.util.Optional;
import org.lwjgl.opencl.CL;
import org.lwjgl.system.Configuration;

/** The OpenCL loader, which finds the drivers that are installed. */
final class Library {
  /** What Debian's loader is called without the package for development. */
  private static final String WITHOUT_DEVELOPMENT_LINK = "libOpenCL.so.1";

  /** Why there is none; LWJGL takes one library in the life of a process. */
  private static final Optional<String> MISSING = load();

  private Library() {}

  /** Why OpenCL cannot be used here, in a sentence that says what to install; empty if it can. */
  static Optional<String> missing() {
    return MISSING;
  }

  private static Optional<String> load() {
    Configuration.OPENCL_EXPLICIT_INIT.set(true);
    try {
      CL.create();
      return Optional.empty();
    } catch (UnsatisfiedLinkError e) {
      return loadWithoutLink();
    }
  }

  private static Optional<String> loadWithoutLink() {
    try {
      CL.create(WITHOUT_DEVELOPMENT_LINK);
      return Optional.empty();
    } catch (UnsatisfiedLinkError e) {
      return Optional.of(
          "there is no OpenCL loader (libOpenCL.so, "
              + WITHOUT_DEVELOPMENT_LINK
              + "): install one and a driver for the device (Debian: ocl-icd-libopencl1, and for the"
              + " CPU pocl-opencl-icd)");
    }
  }
}
