package dev.lionstore.mapping;

import java.io.IOException;
import java.lang.foreign.AddressLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
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
  private static final AddressLayout POINTER = ValueLayout.ADDRESS;

  private final Path path;
  private final int direct;
  private final int cached;

  private DirectAccess(Path path, int direct, int cached) {
    this.path = path;
    this.direct = direct;
    this.cached = cached;
  }

  /**
   * Opens a file that exists; empty if its file system has no direct I/O.
   *
   * @throws FileSystemException if it cannot be opened at all
   */
  public static Optional<DirectAccess> open(Path path) throws IOException {
    int cached = Posix.open(path, Posix.READ_WRITE_CLOEXEC);
    if (cached < 0) {
      throw new FileSystemException(path.toString(), null, "cannot be opened for direct access");
    }
    int direct = Posix.open(path, Posix.READ_WRITE_CLOEXEC | DIRECT);
    if (direct < 0) {
      Posix.close(cached);
      return Optional.empty();
    }
    try {
      // A page at a time: what is read ahead of one would only be dropped again.
      int _ = (int) Calls.ADVISE.invokeExact(cached, 0L, 0L, ADVICE_RANDOM);
    } catch (Throwable e) {
      throw new IllegalStateException("posix_fadvise", e);
    }
    return Optional.of(new DirectAccess(path, direct, cached));
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
    if (memory.byteSize() == 0) {
      return;
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Calls.STATE);
      for (long done = 0; done < memory.byteSize(); ) {
        long left = memory.byteSize() - done;
        long moved =
            (long) call.invokeExact(state, descriptor, memory.asSlice(done), left, offset + done);
        int error = (int) Calls.ERROR.get(state, 0L);
        if (moved == 0 || (moved < 0 && error != INTERRUPTED)) {
          throw new FileSystemException(
              path.toString(),
              null,
              doing
                  + " bytes from "
                  + (offset + done)
                  + " failed: "
                  + (moved == 0 ? "the file ends there" : "error " + error));
        }
        done += Math.max(0, moved);
      }
    } catch (IOException | RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(doing + " " + path, e);
    }
  }

  @Override
  public void close() {
    Posix.close(direct);
    Posix.close(cached);
  }

  /** Looked up on first use: stores in memory never need them. */
  private static final class Calls {
    private static final StructLayout STATE = Linker.Option.captureStateLayout();
    private static final VarHandle ERROR =
        STATE.varHandle(MemoryLayout.PathElement.groupElement("errno"));
    private static final MethodHandle ADVISE =
        function(
            "posix_fadvise",
            FunctionDescriptor.of(
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_INT));
    private static final MethodHandle READ = transfer("pread");
    private static final MethodHandle WRITE = transfer("pwrite");

    private static MethodHandle transfer(String name) {
      return function(
          name,
          FunctionDescriptor.of(
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_INT,
              POINTER,
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_LONG),
          Linker.Option.captureCallState("errno"));
    }

    @SuppressWarnings("restricted") // the signatures are POSIX's
    private static MethodHandle function(
        String name, FunctionDescriptor signature, Linker.Option... options) {
      Linker linker = Linker.nativeLinker();
      return linker.downcallHandle(
          linker.defaultLookup().find(name).orElseThrow(), signature, options);
    }
  }
}
