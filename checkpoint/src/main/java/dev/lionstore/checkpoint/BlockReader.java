package dev.lionstore.checkpoint;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.LongConsumer;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * Reads every file of a snapshot once, by several threads, and checks each chunk against its
 * checksum before anybody gets it.
 */
final class BlockReader {
  private static final int READERS = 3;

  private final Path snapshot;
  private final Manifest manifest;
  private final FileContents contents;
  private final LongConsumer progress;

  /** Takes the chunks that are as they were written. */
  interface Sink {
    /**
     * Takes one; called by several threads.
     *
     * @param file its plain name
     * @param offset in the file, in bytes
     * @param content valid until this returns
     */
    void accept(String file, long offset, MemorySegment content) throws IOException;
  }

  /**
   * A reader.
   *
   * @param contents names what lies in bytes that are wrong
   * @param progress told the bytes read since the last call, one call at a time
   */
  BlockReader(Path snapshot, Manifest manifest, FileContents contents, LongConsumer progress) {
    this.snapshot = snapshot;
    this.manifest = manifest;
    this.contents = contents;
    this.progress = progress;
  }

  /**
   * Reads and checks everything, also behind a damage.
   *
   * @throws DamagedSnapshotException naming every chunk that is wrong or cannot be read
   * @throws IOException as the sink does
   */
  void read(Sink sink) throws IOException {
    SnapshotFiles.requireThere(snapshot, manifest);
    List<DamagedSnapshotException.Damage> damages = new ArrayList<>();
    try (Arena arena = Arena.ofShared()) {
      List<MemorySegment> buffers = new ArrayList<>();
      for (Manifest.FileSums file : manifest.files()) {
        int threads = Math.min(READERS, file.crc32c().size());
        while (buffers.size() < threads) {
          buffers.add(arena.allocate(manifest.chunkBytes(), DirectFile.ALIGNMENT));
        }
        try (DirectFile source = DirectFile.open(snapshot.resolve(file.name()), file.bytes())) {
          damages.addAll(new Reading(file, source, sink).run(buffers.subList(0, threads)));
        }
      }
    }
    if (!damages.isEmpty()) {
      throw new DamagedSnapshotException(damages);
    }
  }

  /** The reading of one file. */
  private final class Reading {
    private final Manifest.FileSums file;
    private final DirectFile source;
    private final Sink sink;
    private final AtomicInteger next = new AtomicInteger();
    private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    private final SortedMap<Integer, DamagedSnapshotException.Damage> damages = new TreeMap<>();

    Reading(Manifest.FileSums file, DirectFile source, Sink sink) {
      this.file = file;
      this.source = source;
      this.sink = sink;
    }

    /** Reads with as many threads as there are buffers, of which the caller's is one. */
    List<DamagedSnapshotException.Damage> run(List<MemorySegment> buffers) throws IOException {
      List<Thread> helpers = new ArrayList<>();
      for (int b = 1; b < buffers.size(); b++) {
        MemorySegment buffer = buffers.get(b);
        helpers.add(
            Thread.ofPlatform()
                .daemon()
                .name("lionstore-read-" + b)
                .start(() -> readChunks(buffer)));
      }
      if (!buffers.isEmpty()) {
        readChunks(buffers.getFirst());
      }
      helpers.forEach(BlockReader::join);
      switch (failure.get()) {
        case null -> {}
        case IOException e -> throw e;
        case RuntimeException e -> throw e;
        case Error e -> throw e;
        case Throwable e -> throw new IllegalStateException(e);
      }
      return List.copyOf(damages.values());
    }

    private void readChunks(MemorySegment buffer) {
      try {
        int chunks = file.crc32c().size();
        for (int c = next.getAndIncrement();
            c < chunks && failure.get() == null;
            c = next.getAndIncrement()) {
          readChunk(c, buffer);
        }
      } catch (IOException | RuntimeException | Error e) {
        failure.compareAndSet(null, e);
      }
    }

    private void readChunk(int chunk, MemorySegment buffer) throws IOException {
      long begin = (long) chunk * manifest.chunkBytes();
      int length = (int) Math.min(manifest.chunkBytes(), file.bytes() - begin);
      String found = sumOf(buffer, length, begin);
      String expected = file.crc32c().get(chunk);
      if (found.equals(expected)) {
        sink.accept(file.name(), begin, buffer.asSlice(0, length));
      } else {
        damaged(chunk, begin, begin + length, "is " + found + ", expected " + expected);
      }
      synchronized (progress) {
        progress.accept(length);
      }
    }

    private String sumOf(MemorySegment buffer, int length, long begin) {
      try {
        source.read(buffer, length, begin);
        CRC32C crc = new CRC32C();
        crc.update(buffer.asSlice(0, length).asByteBuffer());
        return SnapshotFiles.hex((int) crc.getValue());
      } catch (FileSystemException e) {
        return "unreadable (" + e.getReason() + ")";
      } catch (IOException e) {
        return "unreadable (" + e.getMessage() + ")";
      }
    }

    private void damaged(int chunk, long begin, long end, String what) {
      Path path = snapshot.resolve(file.name());
      String where =
          "CRC-32C of bytes " + begin + " to " + (end - 1) + contents.in(path, begin, end);
      synchronized (damages) {
        damages.put(chunk, new DamagedSnapshotException.Damage(path, where + " " + what));
      }
    }
  }

  private static void join(Thread thread) {
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
