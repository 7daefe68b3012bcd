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
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.stream.Stream;

/** What the JDK lacks of the system's calls on files. */
public final class Posix {
  static final int READ_WRITE_CLOEXEC = 0x80002;
  private static final int NO_SPACE = 28;
  private static final int OVER_QUOTA = 122;
  private static final int TOO_LARGE = 27;
  private static final int ZEROS_BYTES = 1 << 20;

  private Posix() {}

  /**
   * Creates an empty file that will be overwritten in place: once its blocks are allocated, a
   * mapped store into it cannot meet a full disk. On btrfs this costs it btrfs's checksums.
   *
   * @throws FileSystemException naming the file if it cannot be made so
   */
  public static void createForMapping(Path file) throws IOException {
    Files.createFile(file);
    OverwrittenInPlace.set(file);
  }

  /**
   * As {@link #createForMapping(Path)}, with every block allocated.
   *
   * @param size in bytes
   * @throws FileSystemException naming the file if the space is not there; the file is left behind
   */
  public static void createForMapping(Path file, long size) throws IOException {
    createForMapping(file);
    allocate(file, size);
  }

  /**
   * Creates a file whose every block is allocated; it can be written once on a disk that is full by
   * then.
   *
   * @param size in bytes
   * @throws FileSystemException naming the file if the space is not there; the file is left behind
   */
  public static void createAllocated(Path file, long size) throws IOException {
    Files.createFile(file);
    allocate(file, size);
  }

  /**
   * Allocates every block of a file that it lacks, up to a size; what it holds stays.
   *
   * @param size in bytes, at least what the file has
   * @throws FileSystemException naming the file if the space is not there
   */
  public static void allocate(Path file, long size) throws IOException {
    int error = size == 0 ? 0 : fallocate(file, size);
    if (error == NO_SPACE || error == OVER_QUOTA) {
      throw new FileSystemException(
          file.toString(), null, "No space left on device for its " + size + " bytes");
    }
    if (error == TOO_LARGE) {
      throw new FileSystemException(file.toString(), null, "File too large");
    }
    if (error != 0) {
      writeZeros(file, size);
    }
  }

  /** Makes a folder's entries durable, or a file's content. */
  public static void sync(Path path) throws IOException {
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      channel.force(true);
    } catch (FileSystemException e) {
      throw e; // names its file
    } catch (IOException e) {
      throw MappedFile.syncFailure(path, e);
    }
  }

  /** Makes every file and folder below a folder durable, and the folder itself. */
  public static void syncTree(Path directory) throws IOException {
    try (Stream<Path> tree = Files.walk(directory)) {
      for (Path path : tree.toList()) {
        sync(path);
      }
    }
  }

  private static int fallocate(Path file, long size) throws IOException {
    return onDescriptor(
        file, descriptor -> (int) Calls.FALLOCATE.invokeExact(descriptor, 0L, size));
  }

  /** A call on a file that is open for reading and writing. */
  interface DescriptorCall {
    int run(int descriptor) throws Throwable;
  }

  /** Opens a file for one call, and returns what that returns. */
  static int onDescriptor(Path file, DescriptorCall call) throws IOException {
    int descriptor = opened(file, open(file, READ_WRITE_CLOEXEC), "allocation");
    try {
      return call.run(descriptor);
    } catch (Throwable e) {
      throw Natives.unexpected("allocation of " + file, e);
    } finally {
      close(descriptor);
    }
  }

  /** Opens a file or folder with the system's flags; the negative errno if that fails. */
  static int open(Path path, int flags) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Natives.CALL_STATE);
      MemorySegment name = arena.allocateFrom(path.toString());
      int descriptor = (int) Calls.OPEN.invokeExact(state, name, flags);
      return descriptor < 0 ? -Natives.errno(state) : descriptor;
    } catch (Throwable e) {
      throw Natives.unexpected("open", e);
    }
  }

  /** What {@link #open} has returned, if that is a descriptor. */
  static int opened(Path path, int descriptor, String purpose) throws FileSystemException {
    if (descriptor < 0) {
      String reason = "cannot be opened for " + purpose + ": " + Natives.words(-descriptor);
      throw new FileSystemException(path.toString(), null, reason);
    }
    return descriptor;
  }

  /** Closes what {@link #open} has opened. */
  static void close(int descriptor) {
    try {
      int _ = (int) Calls.CLOSE.invokeExact(descriptor);
    } catch (Throwable e) {
      throw Natives.unexpected("close", e);
    }
  }

  private static void writeZeros(Path file, long size) throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      ByteBuffer zeros = ByteBuffer.allocateDirect(ZEROS_BYTES);
      channel.position(channel.size());
      while (channel.position() < size) {
        zeros.clear().limit((int) Math.min(ZEROS_BYTES, size - channel.position()));
        channel.write(zeros);
      }
    } catch (FileSystemException e) {
      throw e; // names its file
    } catch (IOException e) {
      throw new FileSystemException(file.toString(), null, e.getMessage());
    }
  }

  /** Looked up on first use: reading commands never need them. */
  private static final class Calls {
    private static final MethodHandle OPEN =
        Natives.function(
            "open",
            FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT),
            Linker.Option.firstVariadicArg(2),
            Natives.TELLS_ERRNO);
    private static final MethodHandle CLOSE =
        Natives.function("close", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
    private static final MethodHandle FALLOCATE =
        Natives.function(
            "posix_fallocate", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG));
  }

  /** The kind of file system that a folder is on, for instance tmpfs or ext4. */
  public static String fileSystem(Path folder) {
    try {
      return Files.getFileStore(folder).type();
    } catch (IOException e) {
      return "unknown file system"; // as in a chroot that has no mount table
    }
  }
}
