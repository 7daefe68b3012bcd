package dev.lionstore.measure.disk;

import dev.lionstore.os.DirectAccess;
import dev.lionstore.os.LargePages;
import dev.lionstore.os.MappedFile;
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
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;

/**
 * What a disk can do while it reads and writes: the bytes of a step, sequential, past the page
 * cache, by threads that touch no byte. Every block of the gradient plane is read; every block of
 * the state's planes is read and written again as it is, in whole pages without the first, so that
 * a store that nobody steps meanwhile keeps every bit.
 */
final class MixedDisk implements AutoCloseable {
  private static final int BLOCK_BYTES = 4 << 20;

  private final Arena arena = Arena.ofShared();
  private final List<MemorySegment> buffers = new ArrayList<>();
  private final List<FileChannel> state = new ArrayList<>();
  private final List<FileChannel> gradients = new ArrayList<>();
  private final ExecutorService pool =
      Executors.newCachedThreadPool(Thread.ofPlatform().daemon().name("disk-", 0).factory());

  @SuppressWarnings({"MustBeClosedChecker", "this-escape"}) // closed by close()
  MixedDisk(List<Path> state, List<Path> gradients) throws IOException {
    try {
      for (Path file : state) {
        this.state.add(
            FileChannel.open(
                file, StandardOpenOption.READ, StandardOpenOption.WRITE, DirectAccess.option()));
      }
      for (Path file : gradients) {
        this.gradients.add(FileChannel.open(file, StandardOpenOption.READ, DirectAccess.option()));
      }
    } catch (IOException | RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  /** What a pass reads and writes, in bytes. */
  static long bytes(List<Path> state, List<Path> gradients) throws IOException {
    long sum = 0;
    for (Path file : state) {
      sum += 2 * Files.size(file);
    }
    for (Path file : gradients) {
      sum += Files.size(file);
    }
    return sum;
  }

  /** One pass over everything. */
  void pass(int threads) throws IOException, InterruptedException {
    long size = state.getFirst().size();
    AtomicLong next = new AtomicLong(MappedFile.PAGE_BYTES);
    List<Callable<Boolean>> tasks = new ArrayList<>();
    while (buffers.size() < threads) {
      buffers.add(LargePages.allocate(arena, BLOCK_BYTES));
    }
    for (MemorySegment buffer : buffers.subList(0, threads)) {
      tasks.add(() -> {
        for (long at = next.getAndAdd(BLOCK_BYTES); at < size; at = next.getAndAdd(BLOCK_BYTES)) {
          move(buffer, at);
        }
        return true;
      });
    }
    DiskRoof.runAll(pool, tasks);
  }

  private void move(MemorySegment buffer, long at) throws IOException {
    for (FileChannel file : gradients) {
      // Of 32-bit values the plane is twice as long as the weights'.
      long blocks = Math.max(1, Math.round((double) file.size() / state.getFirst().size()));
      for (long block = 0; block < blocks; block++) {
        read(file, buffer, blocks * (at - MappedFile.PAGE_BYTES) + block * BLOCK_BYTES);
      }
    }
    for (FileChannel file : state) {
      ByteBuffer bytes = read(file, buffer, at).flip();
      while (bytes.hasRemaining()) {
        file.write(bytes, at + bytes.position());
      }
    }
  }

  private static ByteBuffer read(FileChannel file, MemorySegment buffer, long at)
      throws IOException {
    long size = Math.clamp(file.size() - at, 0, BLOCK_BYTES);
    ByteBuffer bytes = buffer.asSlice(0, size).asByteBuffer();
    while (bytes.hasRemaining()) {
      if (file.read(bytes, at + bytes.position()) < 0) {
        throw new IOException("a file ends before byte " + (at + size));
      }
    }
    return bytes;
  }

  @Override
  public void close() throws IOException {
    pool.close();
    arena.close();
    for (FileChannel file : state) {
      file.close();
    }
    for (FileChannel file : gradients) {
      file.close();
    }
  }
}
