package dev.lionstore.checkpoint;

import dev.lionstore.os.LargePages;
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
  /** As many as a snapshot's writers, for the same reason. */
  private static final int READERS = SnapshotTask.MOST_WRITERS;

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
    List<DirectFile> sources = new ArrayList<>();
    List<DamagedSnapshotException.Damage> damages;
    try {
      List<Chunk> chunks = new ArrayList<>();
      for (Manifest.FileSums file : manifest.files()) {
        DirectFile source = DirectFile.open(snapshot.resolve(file.name()), file.bytes());
        sources.add(source);
        for (int c = 0; c < file.crc32c().size(); c++) {
          chunks.add(new Chunk(chunks.size(), file, source, c));
        }
      }
      damages = new Reading(inLanes(chunks), sink).run();
    } finally {
      for (DirectFile source : sources) {
        source.close();
      }
    }
    if (!damages.isEmpty()) {
      throw new DamagedSnapshotException(damages);
    }
  }

  /**
   * In an order in which those that are read at the same time lie far from each other: neighbours
   * belong to one plane, and a file system lets one thread at a time write to a file.
   */
  private static List<Chunk> inLanes(List<Chunk> chunks) {
    int lane = Math.ceilDiv(chunks.size(), READERS);
    List<Chunk> order = new ArrayList<>();
    for (int c = 0; c < lane; c++) {
      for (int inLane = c; inLane < chunks.size(); inLane += lane) {
        order.add(chunks.get(inLane));
      }
    }
    return order;
  }

  /** A chunk: its number among all, and in its file. */
  private record Chunk(int number, Manifest.FileSums file, DirectFile source, int inFile) {}

  /** The reading of chunks. */
  private final class Reading {
    private final List<Chunk> chunks;
    private final Sink sink;
    private final AtomicInteger next = new AtomicInteger();
    private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    private final SortedMap<Integer, DamagedSnapshotException.Damage> damages = new TreeMap<>();

    Reading(List<Chunk> chunks, Sink sink) {
      this.chunks = chunks;
      this.sink = sink;
    }

    /** Gives the damages in the order of the files. */
    List<DamagedSnapshotException.Damage> run() throws IOException {
      try (Arena arena = Arena.ofShared()) {
        List<Thread> readers = new ArrayList<>();
        for (int r = 0; r < Math.min(READERS, chunks.size()); r++) {
          MemorySegment buffer = LargePages.allocate(arena, manifest.chunkBytes());
          readers.add(
              Thread.ofPlatform()
                  .daemon()
                  .name("lionstore-read-" + r)
                  .start(() -> readChunks(buffer)));
        }
        readers.forEach(BlockReader::join);
      }
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
        for (int c = next.getAndIncrement();
            c < chunks.size() && failure.get() == null;
            c = next.getAndIncrement()) {
          readChunk(chunks.get(c), buffer);
        }
      } catch (IOException | RuntimeException | Error e) {
        failure.compareAndSet(null, e);
      }
    }

    private void readChunk(Chunk chunk, MemorySegment buffer) throws IOException {
      long begin = (long) chunk.inFile() * manifest.chunkBytes();
      int length = (int) Math.min(manifest.chunkBytes(), chunk.file().bytes() - begin);
      String found = sumOf(chunk.source(), buffer, length, begin);
      String expected = chunk.file().crc32c().get(chunk.inFile());
      if (found.equals(expected)) {
        sink.accept(chunk.file().name(), begin, buffer.asSlice(0, length));
      } else {
        damaged(chunk, begin, begin + length, "is " + found + ", expected " + expected);
      }
      synchronized (progress) {
        progress.accept(length);
      }
    }

    private String sumOf(DirectFile source, MemorySegment buffer, int length, long begin) {
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

    private void damaged(Chunk chunk, long begin, long end, String what) {
      Path path = snapshot.resolve(chunk.file().name());
      String where =
          "CRC-32C of bytes " + begin + " to " + (end - 1) + contents.in(path, begin, end);
      synchronized (damages) {
        damages.put(chunk.number(), new DamagedSnapshotException.Damage(path, where + " " + what));
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
