package dev.lionstore.opencl.driver;

import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.util.List;
import java.util.Optional;
import org.lwjgl.opencl.CL;
import org.lwjgl.system.Configuration;

/** The OpenCL loader, which finds the drivers that are installed. */
public final class Library {
  /** The second is what Debian's loader is called without the package for development. */
  private static final List<String> NAMES =
      List.of(System.mapLibraryName("OpenCL"), "libOpenCL.so.1");

  /** Why there is none; LWJGL takes one library in the life of a process. */
  private static final Optional<String> MISSING = load();

  private Library() {}

  /** Why OpenCL cannot be used here, in a sentence that says what to install; empty if it can. */
  public static Optional<String> missing() {
    return MISSING;
  }

  private static Optional<String> load() {
    Configuration.OPENCL_EXPLICIT_INIT.set(true);
    Optional<String> name = NAMES.stream().filter(Library::isThere).findFirst();
    if (name.isEmpty()) {
      return Optional.of(
          "there is no OpenCL loader ("
              + String.join(", ", NAMES)
              + "): install one and a driver for the device (Debian: ocl-icd-libopencl1, and for the"
              + " CPU pocl-opencl-icd)");
    }
    CL.create(name.get());
    return Optional.empty();
  }

  /** LWJGL would complain on stderr of every name that it does not find. */
  @SuppressWarnings("restricted") // the user's own OpenCL is to be loaded
  private static boolean isThere(String name) {
    try (Arena arena = Arena.ofConfined()) {
      SymbolLookup.libraryLookup(name, arena);
      return true;
    } catch (IllegalArgumentException e) {
      return false;
    }
  }
}
