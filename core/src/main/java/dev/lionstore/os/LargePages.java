package dev.lionstore.os;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * Memory for transfers past the page cache, in large pages where the system has them: a disk is
 * told of a block in pieces that lie together in physical memory, two instead of a thousand. It
 * does not come from {@code malloc}, which would keep much of it for the process.
 */
public final class LargePages {
  /** Of x86-64, and of AArch64 with small pages of 4 KiB; elsewhere the advice has no effect. */
  private static final long PAGE_BYTES = 2L << 20;

  private static final int READ_WRITE = 3;
  private static final int PRIVATE_ANONYMOUS = 0x22;
  private static final int ADVICE_HUGE_PAGE = 14;
  private static final long FAILED = -1;

  private LargePages() {}

  /**
   * Allocates zeros, which take memory when they are first touched. They begin where a large page
   * does.
   *
   * @param arena gives them back to the system when it is closed
   * @param bytes how many, at least 1
   * @throws OutOfMemoryError if the system has no room for them
   */
  @SuppressWarnings("restricted") // of the size that was mapped
  public static MemorySegment allocate(Arena arena, long bytes) {
    long mapped = Math.addExact(bytes, PAGE_BYTES);
    try {
      MemorySegment start =
          (MemorySegment)
              Calls.MMAP.invokeExact(
                  MemorySegment.NULL, mapped, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0L);
      if (start.address() == FAILED) {
        throw new OutOfMemoryError("no room for " + bytes + " bytes");
      }
      MemorySegment all = start.reinterpret(mapped, arena, LargePages::unmap);
      MemorySegment aligned = all.asSlice(-start.address() & (PAGE_BYTES - 1), bytes);
      int _ = (int) Calls.MADVISE.invokeExact(aligned, bytes, ADVICE_HUGE_PAGE);
      return aligned;
    } catch (Throwable e) {
      throw Natives.unexpected("mmap", e);
    }
  }

  private static void unmap(MemorySegment all) {
    try {
      int _ = (int) Calls.MUNMAP.invokeExact(all, all.byteSize());
    } catch (Throwable e) {
      throw Natives.unexpected("munmap", e);
    }
  }

  /** Looked up on first use. */
  private static final class Calls {
    private static final MethodHandle MMAP =
        Natives.function(
            "mmap",
            FunctionDescriptor.of(
                ADDRESS, ADDRESS, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG));
    private static final MethodHandle MUNMAP =
        Natives.function("munmap", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG));
    private static final MethodHandle MADVISE =
        Natives.function("madvise", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT));
  }
}
