package dev.lionstore.measure.disk;

import dev.lionstore.ElementType;
import dev.lionstore.measure.timing.TimedTask;
import dev.lionstore.measure.workload.Samples;
import dev.lionstore.os.DirectAccess;
import dev.lionstore.os.LargePages;
import dev.lionstore.os.MappedFile;
import dev.lionstore.os.Posix;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;

/**
 * What a disk can do: sequential transfers of large blocks past the page cache, by threads that do
 * nothing else and touch no byte.
 */
final class DiskRoof implements AutoCloseable {
  private static final int BLOCK_BYTES = 4 << 20;

  private static final int MOST_THREADS = 3;

  /** As many as a snapshot's. */
  private static final int COPYING_THREADS = 12;

  private final Arena arena = Arena.ofShared();
  private final List<MemorySegment> buffers = new ArrayList<>();
  private final ExecutorService pool =
      Executors.newFixedThreadPool(
          COPYING_THREADS, Thread.ofPlatform().daemon().name("disk-roof-", 0).factory());

  /** A block of a file. */
  private record Block(FileChannel file, long offset, int bytes) {}

  private interface Transfer {
    int run(Block block, ByteBuffer buffer, long at) throws IOException;
  }

  DiskRoof() {
    for (int t = 0; t < COPYING_THREADS; t++) {
      MemorySegment buffer = LargePages.allocate(arena, BLOCK_BYTES);
      Samples.fillGradient(ElementType.BF16, buffer, t);
      buffers.add(buffer);
    }
  }

  /**
   * Writes of a file that is allocated beforehand, and its sync, by one thread and more.
   *
   * @param bytes its size, rounded up to whole pages
   */
  List<TimedTask> writes(Path file, long bytes) {
    long size = MappedFile.wholePages(bytes);
    return candidates("write", () -> allocate(file, size), threads -> write(file, size, threads));
  }

  /** Reads of files that are not in the page cache, one after the other, by one thread and more. */
  List<TimedTask> reads(List<Path> files) {
    return candidates("read", () -> {}, threads -> read(files, threads));
  }

  /**
   * Reads as above, each block written at once into a new file through the page cache: what
   * restoring is without checks, a mapping and a sync. Much of it is the system's work for new
   * pages.
   */
  TimedTask copies(List<Path> files, Path target) {
    return new TimedTask(
        "read and written to a new file, unchecked",
        () -> Files.deleteIfExists(target),
        () -> copy(files, target));
  }

  private void copy(List<Path> files, Path target) throws IOException, InterruptedException {
    try (FileChannel to =
        FileChannel.open(target, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      long base = 0;
      for (Path file : files) {
        long begin = base;
        try (FileChannel channel =
            FileChannel.open(file, StandardOpenOption.READ, DirectAccess.option())) {
          run(
              blocks(channel, channel.size()),
              COPYING_THREADS,
              (block, buffer, at) -> {
                int size = block.file().read(buffer, at);
                if (size > 0) {
                  to.write(buffer.slice(buffer.position() - size, size), begin + at);
                }
                return size;
              });
          base += channel.size();
        }
      }
    }
  }

  private interface Pass {
    void run(int threads) throws IOException, InterruptedException;
  }

  private static List<TimedTask> candidates(String what, TimedTask.Pass prepare, Pass pass) {
    return IntStream.rangeClosed(1, MOST_THREADS)
        .mapToObj(threads ->
            new TimedTask(
                "%s, %d thread%s".formatted(what, threads, threads == 1 ? "" : "s"),
                prepare,
                () -> pass.run(threads)))
        .toList();
  }

  private static void allocate(Path file, long size) throws IOException {
    Files.deleteIfExists(file);
    Posix.createAllocated(file, size);
    Posix.sync(file.resolveSibling(""));
  }

  private void write(Path file, long size, int threads) throws IOException, InterruptedException {
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.WRITE, DirectAccess.option())) {
      run(blocks(channel, size), threads, (block, buffer, at) -> block.file().write(buffer, at));
      channel.force(true);
    }
  }

  private void read(List<Path> files, int threads) throws IOException, InterruptedException {
    for (Path file : files) {
      try (FileChannel channel =
          FileChannel.open(file, StandardOpenOption.READ, DirectAccess.option())) {
        long size = channel.size();
        run(blocks(channel, size), threads, (block, buffer, at) -> block.file().read(buffer, at));
      }
    }
  }

  private static List<Block> blocks(FileChannel file, long size) {
    List<Block> blocks = new ArrayList<>();
    for (long offset = 0; offset < size; offset += BLOCK_BYTES) {
      blocks.add(new Block(file, offset, (int) Math.min(BLOCK_BYTES, size - offset)));
    }
    return blocks;
  }

  private void run(List<Block> blocks, int threads, Transfer transfer)
      throws IOException, InterruptedException {
    AtomicInteger next = new AtomicInteger();
    List<Callable<Boolean>> tasks = new ArrayList<>();
    for (MemorySegment buffer : buffers.subList(0, threads)) {
      tasks.add(() -> {
        for (int b = next.getAndIncrement(); b < blocks.size(); b = next.getAndIncrement()) {
          transferAll(blocks.get(b), buffer, transfer);
        }
        return true;
      });
    }
    runAll(pool, tasks);
  }

  /** Returns when all have ended; throws what one threw. */
  static void runAll(ExecutorService pool, List<Callable<Boolean>> tasks)
      throws IOException, InterruptedException {
    for (Future<Boolean> task : pool.invokeAll(tasks)) {
      try {
        task.get();
      } catch (ExecutionException e) {
        throw new IOException(e.getCause());
      }
    }
  }

  private static void transferAll(Block block, MemorySegment buffer, Transfer transfer)
      throws IOException {
    long pages = MappedFile.wholePages(block.bytes());
    ByteBuffer bytes = buffer.asSlice(0, pages).asByteBuffer();
    while (bytes.position() < block.bytes()) {
      if (transfer.run(block, bytes, block.offset() + bytes.position()) < 0) {
        throw new IOException("a file ends before byte " + (block.offset() + block.bytes()));
      }
    }
  }

  @Override
  public void close() {
    pool.close();
    arena.close();
  }
}
