package dev.lionstore.store.file;

import dev.lionstore.FormatException;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.os.MappedFile;
import dev.lionstore.os.Posix;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
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
 *  chunk of worker w, at 4096 + w · bytes of a chunk's values in every plane of the rule that has
 *                the most, in whole pages: plane after plane of its tensor's rule, as many elements
 *                each as a chunk has
 * </pre>
 *
 * A chunk is saved before the worker's word in {@link ProgressFile} says so. The word of the chunk
 * before does no harm meanwhile: that chunk is stamped.
 */
public class ChunkUndoFile {
  public static final String NAME = "undo";

  private static final String NEW_NAME = NAME + ".new";
  private static final long MAGIC = 0x4F444E554E4F494CL;
  private static final long VERSION = 1;
  private static final int MARK_OFFSET = 32;
  private static final int WORKERS_OFFSET = 40;
  private static final ValueLayout.OfLong I64 = ValueLayout.JAVA_LONG;

  private final MappedFile file;
  private final int chunkElements;
  private final long chunkBytes;

  public ChunkUndoFile(MappedFile file, LayoutFile layout) {
    this.file = file;
    this.chunkElements = layout.chunkElements();
    this.chunkBytes = chunkBytes(layout);
  }

  private static long chunkBytes(LayoutFile layout) {
    long most =
        layout.layout().rules().stream()
            .mapToLong(rule -> bytes(rule, layout.chunkElements()))
            .max()
            .orElseThrow();
    return MappedFile.wholePages(most);
  }

  private static long bytes(UpdateRule rule, int elements) {
    return rule.allPlanes().stream().mapToLong(plane -> plane.type().bytes(elements)).sum();
  }

  /** What it takes for so many chunks in hand, in bytes. */
  public static long size(LayoutFile layout, int workers) {
    return MappedFile.PAGE_BYTES + workers * chunkBytes(layout);
  }

  /** Maps a file for reading, or for reading and writing. */
  public interface Opener {
    MappedFile open(Path path, long size) throws IOException;
  }

  /** Maps what a device has left, if one has. */
  public static Optional<MappedFile> open(Path directory, LayoutFile layout, Opener opener)
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
  public static MappedFile create(Path directory, LayoutFile layout, int workers)
      throws IOException {
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

  public MappedFile file() {
    return file;
  }

  /** Checks that it is this store's. */
  public void requireOf(UUID storeId) throws FormatException {
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
  public int workers() {
    return (int) file.memory().get(I64, WORKERS_OFFSET);
  }

  /** The intent that it belongs to. */
  public long mark() {
    return file.memory().get(I64, MARK_OFFSET);
  }

  /** Says which intent is about to be applied. */
  public void tieTo(long mark) {
    file.memory().set(I64, MARK_OFFSET, mark);
  }

  /**
   * Saves a chunk's values.
   *
   * @param tensor that it is of
   * @param from the index of its first element in the tensor's planes
   */
  public void save(int worker, TensorStep tensor, long from, int count) {
    List<Plane> planes = tensor.rule().allPlanes();
    long to = offset(worker);
    for (int p = 0; p < planes.size(); p++) {
      Plane.Type type = planes.get(p).type();
      MemorySegment plane = tensor.planes().get(p);
      MemorySegment.copy(plane, type.bytes(from), file.memory(), to, type.bytes(count));
      to += type.bytes(chunkElements);
    }
  }

  /** Puts back what was saved. */
  public void restore(int worker, TensorStep tensor, long from, int count) {
    List<Plane> planes = tensor.rule().allPlanes();
    long saved = offset(worker);
    for (int p = 0; p < planes.size(); p++) {
      Plane.Type type = planes.get(p).type();
      MemorySegment plane = tensor.planes().get(p);
      MemorySegment.copy(file.memory(), saved, plane, type.bytes(from), type.bytes(count));
      saved += type.bytes(chunkElements);
    }
  }

  private long offset(int worker) {
    return MappedFile.PAGE_BYTES + worker * chunkBytes;
  }
}
