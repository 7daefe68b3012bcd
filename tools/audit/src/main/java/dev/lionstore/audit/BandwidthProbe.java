package dev.lionstore.audit;

import dev.lionstore.os.DirectAccess;
import dev.lionstore.os.LargePages;
import dev.lionstore.os.Posix;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;

/** Short measurements, a second each: for a plan, not for a comparison. */
public final class BandwidthProbe {
  private static final long MEMORY_BYTES = 256L << 20;
  private static final double MEMORY_SECONDS = 0.5;
  private static final int CACHED_BYTES = 4096;
  private static final int DISK_THREADS = 4;
  private static final int BLOCK_BYTES = 4 << 20;

  private BandwidthProbe() {}

  private interface Work {
    void run() throws IOException;
  }

  /** Memory read and written in place by every core, the best of some passes; bytes per second. */
  public static double memory() throws IOException {
    int threads = Runtime.getRuntime().availableProcessors();
    long share = MEMORY_BYTES / threads & -CACHED_BYTES;
    try (Arena arena = Arena.ofShared()) {
      MemorySegment all = LargePages.allocate(arena, share * threads);
      all.fill((byte) 1);
      double best = 0;
      for (double spent = 0; spent < MEMORY_SECONDS; ) {
        List<Work> work = new ArrayList<>();
        for (int t = 0; t < threads; t++) {
          MemorySegment part = all.asSlice(t * share, share);
          work.add(() -> rewrite(part));
        }
        double seconds = seconds(work);
        best = Math.max(best, 2.0 * all.byteSize() / seconds);
        spent += seconds;
      }
      return best;
    }
  }

  /** Through a piece that stays in the first cache; the values stay what they are. */
  private static void rewrite(MemorySegment part) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment piece = arena.allocate(CACHED_BYTES, CACHED_BYTES);
      for (long at = 0; at < part.byteSize(); at += CACHED_BYTES) {
        MemorySegment.copy(part, at, piece, 0, CACHED_BYTES);
        MemorySegment.copy(piece, 0, part, at, CACHED_BYTES);
      }
    }
  }

  /**
   * A file of a disk written, then read and written in place, past the page cache.
   *
   * @param folder on the disk; a hidden file is made there and removed
   * @param bytes how large the file is
   * @return bytes per second: read and written at once; only written
   * @throws FileSystemException if the disk has no direct I/O or no room, or cannot be written
   */
  public static double[] disk(Path folder, long bytes) throws IOException {
    long size = Math.max(1, bytes / BLOCK_BYTES) * BLOCK_BYTES;
    Path file = probe(folder);
    try (Arena arena = Arena.ofShared()) {
      Posix.allocate(file, size);
      DirectAccess direct =
          DirectAccess.open(file)
              .orElseThrow(() ->
                  new FileSystemException(
                      folder.toString(),
                      null,
                      "is no disk with direct I/O ("
                          + Posix.fileSystem(folder)
                          + "); choose a folder on one by --directory, or give --disk-bandwidth"));
      try (direct) {
        double writes = size / seconds(blocks(arena, size, direct::write));
        Work sync = () -> Posix.sync(file);
        seconds(List.of(sync));
        double mixed =
            2.0
                * size
                / seconds(
                    blocks(
                        arena,
                        size,
                        (memory, at) -> {
                          direct.read(memory, at);
                          direct.write(memory, at);
                        }));
        return new double[] {mixed, writes};
      }
    } finally {
      Files.deleteIfExists(file);
    }
  }

  private static Path probe(Path folder) throws FileSystemException {
    try {
      return Files.createTempFile(folder, ".lionstore-plan-", "");
    } catch (IOException e) {
      FileSystemException named =
          new FileSystemException(
              folder.toString(),
              null,
              "no file can be made there, to measure the disk; choose another folder by --directory,"
                  + " or give --disk-bandwidth");
      named.initCause(e);
      throw named;
    }
  }

  private interface Transfer {
    void run(MemorySegment memory, long offset) throws IOException;
  }

  private static List<Work> blocks(Arena arena, long size, Transfer transfer) {
    AtomicLong next = new AtomicLong();
    List<Work> work = new ArrayList<>();
    for (int t = 0; t < DISK_THREADS; t++) {
      MemorySegment buffer = LargePages.allocate(arena, BLOCK_BYTES);
      buffer.fill((byte) (t + 1));
      work.add(() -> {
        for (long at = next.getAndAdd(BLOCK_BYTES); at < size; at = next.getAndAdd(BLOCK_BYTES)) {
          transfer.run(buffer, at);
        }
      });
    }
    return work;
  }

  /** How long all of it takes, at once. */
  private static double seconds(List<Work> work) throws IOException {
    try (ExecutorService pool = Executors.newFixedThreadPool(work.size())) {
      List<Callable<Boolean>> tasks = new ArrayList<>();
      for (Work one : work) {
        tasks.add(() -> {
          one.run();
          return true;
        });
      }
      long begin = System.nanoTime();
      for (Future<Boolean> task : pool.invokeAll(tasks)) {
        task.get();
      }
      return (System.nanoTime() - begin) / 1e9;
    } catch (ExecutionException e) {
      throw e.getCause() instanceof IOException failure ? failure : new IOException(e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while bandwidths were measured", e);
    }
  }
}
