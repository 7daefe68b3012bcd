package dev.lionstore.os;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.file.FileSystemException;
import java.nio.file.Path;

/**
 * The flag of a file on btrfs that it is not copied on write ({@code chattr +C}). Otherwise the
 * second write to a preallocated block needs another one, and a mapped file meets a full disk after
 * all: the process is killed by a SIGBUS.
 */
final class OverwrittenInPlace {
  private static final long BTRFS = 0x9123683EL;
  private static final long STATFS_BYTES = 120;
  private static final long GET_FLAGS = 0x80086601L;
  private static final long SET_FLAGS = 0x40086602L;
  private static final int COMPRESSED = 0x4;
  private static final int NO_COPY_ON_WRITE = 0x800000;

  private OverwrittenInPlace() {}

  /**
   * Sets it, if the file is on btrfs.
   *
   * @param file an empty one
   * @throws FileSystemException naming the file if btrfs refuses
   */
  static void set(Path file) throws IOException {
    if (Posix.onDescriptor(file, OverwrittenInPlace::set) != 0) {
      throw new FileSystemException(
          file.toString(),
          null,
          "btrfs does not let it be overwritten in place (chattr +C): a store there could not"
              + " survive a full disk; choose another file system");
    }
  }

  private static int set(int descriptor) throws Throwable {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment buffer = arena.allocate(STATFS_BYTES, Long.BYTES);
      int error = (int) Calls.FSTATFS.invokeExact(descriptor, buffer);
      if (error != 0 || buffer.get(JAVA_LONG, 0) != BTRFS) {
        return 0;
      }
      error = (int) Calls.IOCTL.invokeExact(descriptor, GET_FLAGS, buffer);
      int flags = buffer.get(JAVA_INT, 0);
      // What is compressed is never written in place; a folder may hand that flag down.
      buffer.set(JAVA_INT, 0, (flags & ~COMPRESSED) | NO_COPY_ON_WRITE);
      return error != 0 ? error : (int) Calls.IOCTL.invokeExact(descriptor, SET_FLAGS, buffer);
    }
  }

  /** Looked up on first use: reading commands never need them. */
  private static final class Calls {
    private static final MethodHandle FSTATFS =
        Natives.function("fstatfs", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS));
    private static final MethodHandle IOCTL =
        Natives.function(
            "ioctl",
            FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_LONG, ADDRESS),
            Linker.Option.firstVariadicArg(2));
  }
}
