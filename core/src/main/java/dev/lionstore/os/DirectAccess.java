package dev.lionstore.os;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.file.FileSystemException;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;

/**
 * Reads and writes parts of a file past the page cache, beside a mapping of the same file: whole
 * pages by direct I/O, the part of a page at either end through the cache. The kernel keeps both
 * views the same: it writes dirty pages back before it reads around them, and drops those that it
 * has written around. Not by {@link java.nio.channels.FileChannel}, which an interrupt closes. Safe
 * for several threads, for parts that do not overlap.
 */
public final class DirectAccess implements AutoCloseable {
  private static final int PAGE_BYTES = MappedFile.PAGE_BYTES;

  /** O_DIRECT: another bit on AArch64. */
  private static final int DIRECT =
      System.getProperty("os.arch").equals("aarch64") ? 0x10000 : 0x4000;

  private static final int ADVICE_RANDOM = 1;
  private static final int INTERRUPTED = 4;
  private static final int INVALID = 22;
  private static final String PURPOSE = "direct access";

  private final Path path;
  private final int direct; // or, in open alone, a negative errno
  private final int cached;

  /**
   * What opens a {@link java.nio.channels.FileChannel} past the page cache: for files of which
   * nothing is mapped, in whole pages. The JDK's documented way, found by name: javac warns of
   * every use of it.
   */
  public static OpenOption option() {
    try {
      Class<?> options = Class.forName("com.sun.nio.file.ExtendedOpenOption");
      return Arrays.stream(options.getEnumConstants())
          .filter(option -> option.toString().equals("DIRECT"))
          .map(OpenOption.class::cast)
          .findFirst()
          .orElseThrow();
    } catch (ClassNotFoundException e) {
      throw new IllegalStateException("the module jdk.unsupported is missing", e);
    }
  }

  private DirectAccess(Path path, int direct, int cached) {
    this.path = path;
    this.direct = direct;
    this.cached = cached;
  }

  /**
   * Opens a file that exists; empty if its file system has no direct I/O.
   *
   * @throws FileSystemException with the errno if it cannot be opened or read for another reason
   */
  public static Optional<DirectAccess> open(Path path) throws IOException {
    int cached = Posix.opened(path, Posix.open(path, Posix.READ_WRITE_CLOEXEC), PURPOSE);
    int direct = Posix.open(path, Posix.READ_WRITE_CLOEXEC | DIRECT);
    DirectAccess access = new DirectAccess(path, direct, cached);
    try {
      if (access.isRefused()) {
        access.close();
        return Optional.empty();
      }
      // A page at a time: what is read ahead of one would only be dropped again.
      int _ = (int) Calls.ADVISE.invokeExact(cached, 0L, 0L, ADVICE_RANDOM);
      return Optional.of(access);
    } catch (IOException e) {
      access.close();
      throw e;
    } catch (Throwable e) {
      throw Natives.unexpected("posix_fadvise", e);
    }
  }

  /** Some file systems refuse the flag, some accept it and then refuse every transfer. */
  private boolean isRefused() throws IOException {
    if (direct == -INVALID) {
      return true;
    }
    Posix.opened(path, direct, PURPOSE);
    try (Arena arena = Arena.ofConfined()) {
      long moved = move(Calls.READ, direct, arena.allocate(PAGE_BYTES, PAGE_BYTES), 0);
      if (moved < 0 && moved != -INVALID) {
        throw failure("reading", 0, moved);
      }
      return moved < 0;
    }
  }

  /**
   * Fills memory from the file.
   *
   * @param memory native; it lies in its page as the bytes do in theirs
   * @param offset in the file, of the first byte
   * @throws IOException naming the file, if the disk fails or the file ends before
   */
  public void read(MemorySegment memory, long offset) throws IOException {
    inParts("reading", Calls.READ, memory, offset);
  }

  /**
   * Writes memory to the file, where it has blocks already; the parameters are those of {@link
   * #read}.
   */
  public void write(MemorySegment memory, long offset) throws IOException {
    inParts("writing", Calls.WRITE, memory, offset);
  }

  private void inParts(String doing, MethodHandle call, MemorySegment memory, long offset)
      throws IOException {
    if ((memory.address() - offset) % PAGE_BYTES != 0) {
      throw new IllegalArgumentException(
          "memory at " + memory.address() + " does not lie in its page as offset " + offset);
    }
    long size = memory.byteSize();
    long head = Math.min(size, -offset & (PAGE_BYTES - 1));
    long whole = (size - head) & -PAGE_BYTES;
    transfer(doing, call, cached, memory.asSlice(0, head), offset);
    transfer(doing, call, direct, memory.asSlice(head, whole), offset + head);
    transfer(doing, call, cached, memory.asSlice(head + whole), offset + head + whole);
  }

  private void transfer(
      String doing, MethodHandle call, int descriptor, MemorySegment memory, long offset)
      throws IOException {
    for (long done = 0; done < memory.byteSize(); ) {
      long moved = move(call, descriptor, memory.asSlice(done), offset + done);
      if (moved <= 0) {
        throw failure(doing, offset + done, moved);
      }
      done += moved;
    }
  }

  /** How many bytes the system moves at once, or the negative errno. */
  private static long move(MethodHandle call, int descriptor, MemorySegment memory, long offset) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Natives.CALL_STATE);
      while (true) {
        long moved = (long) call.invokeExact(state, descriptor, memory, memory.byteSize(), offset);
        if (moved >= 0) {
          return moved;
        }
        int errno = Natives.errno(state);
        if (errno != INTERRUPTED) {
          return -errno;
        }
      }
    } catch (Throwable e) {
      throw Natives.unexpected("transfer", e);
    }
  }

  private FileSystemException failure(String doing, long offset, long moved) {
    String why = moved == 0 ? "the file ends there" : Natives.words((int) -moved);
    return new FileSystemException(
        path.toString(), null, doing + " bytes from " + offset + " failed: " + why);
  }

  @Override
  public void close() {
    Posix.close(direct);
    Posix.close(cached);
  }

  /** Looked up on first use: stores in memory never need them. */
  private static final class Calls {
    private static final MethodHandle ADVISE =
        Natives.function(
            "posix_fadvise",
            FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT));
    private static final MethodHandle READ = transfer("pread");
    private static final MethodHandle WRITE = transfer("pwrite");

    private static MethodHandle transfer(String name) {
      return Natives.function(
          name,
          FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG),
          Natives.TELLS_ERRNO);
    }
  }
}
