package dev.lionstore.os;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.channels.FileChannel;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** What a file really takes, of its disk and of the page cache. */
public final class FileUse {
  private static final int CURRENT_FOLDER = -100;
  private static final int BLOCKS_WANTED = 0x400;
  private static final int STATX_BYTES = 256;
  private static final int BLOCKS_OFFSET = 48;
  private static final int BLOCK_BYTES = 512;

  /** What is asked about at once, in bytes, so that the answer stays small. */
  private static final long PIECE_BYTES = 1L << 30;

  private FileUse() {}

  /**
   * The blocks that a file has, in bytes; on a tmpfs the pages.
   *
   * @throws FileSystemException naming the file if the system does not tell
   */
  public static long allocatedBytes(Path file) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment told = arena.allocate(STATX_BYTES, Long.BYTES);
      int error =
          (int)
              Calls.STATX.invokeExact(
                  CURRENT_FOLDER, arena.allocateFrom(file.toString()), 0, BLOCKS_WANTED, told);
      if (error != 0) {
        throw new FileSystemException(file.toString(), null, "its blocks are not told");
      }
      return told.get(JAVA_LONG, BLOCKS_OFFSET) * BLOCK_BYTES;
    } catch (IOException e) {
      throw e;
    } catch (Throwable e) {
      throw Natives.unexpected("statx of " + file, e);
    }
  }

  /**
   * What of a file is in the page cache, in bytes; a file of a tmpfs is nowhere else.
   *
   * @throws FileSystemException naming the file if the system does not tell
   */
  public static long cachedBytes(Path file) throws IOException {
    long cached = 0;
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      for (long at = 0; at < channel.size(); at += PIECE_BYTES) {
        cached += cachedBytes(file, channel, at, Math.min(PIECE_BYTES, channel.size() - at));
      }
    }
    return cached;
  }

  private static long cachedBytes(Path file, FileChannel channel, long from, long bytes)
      throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment mapped = channel.map(FileChannel.MapMode.READ_ONLY, from, bytes, arena);
      long pages = Math.ceilDiv(bytes, (long) MappedFile.PAGE_BYTES);
      MemorySegment present = arena.allocate(pages);
      int error = (int) Calls.MINCORE.invokeExact(mapped, bytes, present);
      if (error != 0) {
        throw new FileSystemException(file.toString(), null, "its cached pages are not told");
      }
      long cached = 0;
      for (long page = 0; page < pages; page++) {
        cached += present.get(JAVA_BYTE, page) & 1;
      }
      return cached * MappedFile.PAGE_BYTES;
    } catch (IOException e) {
      throw e;
    } catch (Throwable e) {
      throw Natives.unexpected("mincore of " + file, e);
    }
  }

  /** Looked up on first use. */
  private static final class Calls {
    private static final MethodHandle STATX =
        Natives.function(
            "statx",
            FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT, ADDRESS));
    private static final MethodHandle MINCORE =
        Natives.function("mincore", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, ADDRESS));
  }
}
