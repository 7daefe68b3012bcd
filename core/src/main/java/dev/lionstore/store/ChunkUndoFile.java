package dev.lionstore.store;

import dev.lionstore.FormatException;
import dev.lionstore.mapping.MappedFile;
import dev.lionstore.mapping.Posix;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/**
 * The file {@code undo}: chunks as they were before a device changed them. Native byte order. Only
 * a store that a device has stepped has it.
 *
 * <pre>
 *  offset  size  field
 *       0     8  magic "LIONUNDO"
 *       8     8  version
 *      16    16  store id
 *      32     8  the mark of the intent that it belongs to (see {@link Mark})
 *      40     8  workers
 *  chunk of worker w, at 4096 + w · bytes of a chunk's values in every plane, in whole pages:
 *                plane after plane, as many elements each as a chunk has
 * </pre>
 *
 * A chunk is saved before the worker's word in {@link ProgressFile} says so. The word of the chunk
 * before does no harm meanwhile: that chunk is stamped.
 */
class ChunkUndoFile {
  static final String NAME = "undo";

  private static final String NEW_NAME = NAME + ".new";
  private static final long MAGIC = 0x4F444E554E4F494CL;
  private static final long VERSION = 1;
  private static final int MARK_OFFSET = 32;
  private static final int WORKERS_OFFSET = 40;
  private static final ValueLayout.OfLong I64 = ValueLayout.JAVA_LONG;

  private final MappedFile file;
  private final int[] bytesPerElement;
  private final int chunkElements;
  private final long chunkBytes;

  ChunkUndoFile(MappedFile file, LayoutFile layout) {
    this.file = file;
    this.bytesPerElement =
        layout.layout().planes().stream().mapToInt(plane -> plane.type().bytes()).toArray();
    this.chunkElements = layout.chunkElements();
    this.chunkBytes = chunkBytes(layout);
  }

  private static long chunkBytes(LayoutFile layout) {
    int perElement =
        layout.layout().planes().stream().mapToInt(plane -> plane.type().bytes()).sum();
    return MappedFile.wholePages((long) layout.chunkElements() * perElement);
  }

  /** What it takes for so many chunks in hand, in bytes. */
  static long size(LayoutFile layout, int workers) {
    return MappedFile.PAGE_BYTES + workers * chunkBytes(layout);
  }

  /** Maps a file for reading, or for reading and writing. */
  interface Opener {
    MappedFile open(Path path, long size) throws IOException;
  }

  /** Maps what a device has left, if one has. */
  static Optional<MappedFile> open(Path directory, LayoutFile layout, Opener opener)
      throws IOException {
    Path path = directory.resolve(NAME);
    if (!Files.exists(path)) {
      return Optional.empty();
    }
    long chunks = (Files.size(path) - MappedFile.PAGE_BYTES) / chunkBytes(layout);
    int workers = Math.clamp(chunks, 1, ProgressFile.WORKERS);
    return Optional.of(opener.open(path, size(layout, workers)));
  }

  /**
   * Makes room for a device, complete or not at all.
   *
   * @param workers that change chunks at once
   */
  static MappedFile create(Path directory, LayoutFile layout, int workers) throws IOException {
    Path path = directory.resolve(NEW_NAME);
    Files.deleteIfExists(path);
    long size = size(layout, workers);
    try {
      Posix.createForMapping(path, size);
      try (MappedFile made = MappedFile.openWritable(path, size)) {
        MemorySegment page = made.memory();
        page.set(I64, 0, MAGIC);
        page.set(I64, 8, VERSION);
        page.set(I64, 16, layout.storeId().getMostSignificantBits());
        page.set(I64, 24, layout.storeId().getLeastSignificantBits());
        page.set(I64, WORKERS_OFFSET, workers);
      }
      Files.move(path, directory.resolve(NAME), StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException | RuntimeException | Error e) {
      Files.deleteIfExists(path);
      throw e;
    }
    return MappedFile.openWritable(directory.resolve(NAME), size);
  }

  MappedFile file() {
    return file;
  }

  /** Checks that it is this store's. */
  void requireOf(UUID storeId) throws FormatException {
    MemorySegment page = file.memory();
    if (page.get(I64, 0) != MAGIC) {
      throw new FormatException(file.path(), "not a store's undo: the magic number is another");
    }
    require("version", page.get(I64, 8), VERSION);
    require("store id", new UUID(page.get(I64, 16), page.get(I64, 24)), storeId);
    long held = (file.memory().byteSize() - MappedFile.PAGE_BYTES) / chunkBytes;
    require("workers", page.get(I64, WORKERS_OFFSET), held);
  }

  private void require(String field, Object found, Object expected) throws FormatException {
    if (!found.equals(expected)) {
      throw new FormatException(file.path(), field, found, expected);
    }
  }

  /** How many workers it has room for. */
  int workers() {
    return (int) file.memory().get(I64, WORKERS_OFFSET);
  }

  /** The intent that it belongs to. */
  long mark() {
    return file.memory().get(I64, MARK_OFFSET);
  }

  /** Says which intent is about to be applied. */
  void expect(long mark) {
    file.memory().set(I64, MARK_OFFSET, mark);
  }

  /**
   * Saves a chunk's values.
   *
   * @param planes its tensor's part of each plane
   * @param from the index of its first element in the tensor
   */
  void save(int worker, List<MemorySegment> planes, long from, int count) {
    for (int p = 0; p < bytesPerElement.length; p++) {
      long bytes = bytesPerElement[p];
      MemorySegment.copy(
          planes.get(p), from * bytes, file.memory(), offset(worker, p), count * bytes);
    }
  }

  /** Puts back what was saved. */
  void restore(int worker, List<MemorySegment> planes, long from, int count) {
    for (int p = 0; p < bytesPerElement.length; p++) {
      long bytes = bytesPerElement[p];
      MemorySegment.copy(
          file.memory(), offset(worker, p), planes.get(p), from * bytes, count * bytes);
    }
  }

  private long offset(int worker, int plane) {
    long offset = MappedFile.PAGE_BYTES + worker * chunkBytes;
    for (int p = 0; p < plane; p++) {
      offset += (long) chunkElements * bytesPerElement[p];
    }
    return offset;
  }
}
