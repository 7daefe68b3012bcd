package dev.lionstore.store;

import dev.lionstore.FormatException;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.mapping.MappedFile;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.util.List;
import java.util.UUID;

/**
 * The file {@code progress}: how far a step has come. Native byte order: it means nothing on
 * another machine.
 *
 * <pre>
 *  offset  size  field
 *       0     8  magic "LIONPROG"
 *       8     8  version
 *      16    16  store id
 *      32     8  the mark of the intent that it belongs to (see {@link Mark})
 *  slot of worker w, at 4096 + w · slotBytes:
 *       0     8  progress: step to come (24 bits), chunk (28 bits), undo unit in the chunk (12 bits);
 *                -1 for none
 *      64        saved values of an even unit: plane after plane, {@link #UNIT_ELEMENTS} each
 *     ...        saved values of an odd unit
 *  stamps, at 4096 + WORKERS · slotBytes:
 *       8 each   chunk by chunk: the mark of the intent that was last applied to it
 * </pre>
 *
 * A unit's values are saved before the progress names it, and the progress names it before the unit
 * changes; the two buffers alternate, so that the unit before, which may still be named, keeps its
 * values meanwhile. A chunk is stamped after its last unit. Memory of a killed process is as its
 * instructions left it, in their order, so the fences here are for the compiler.
 */
class ProgressFile {
  static final String NAME = "progress";

  /** Elements of an undo unit. */
  static final int UNIT_ELEMENTS = Kernel.MAX_SLICE;

  /** How many workers can be applying at once. */
  static final int WORKERS = 256;

  /** The largest chunk: its units are counted in 12 bits. */
  static final int MAX_CHUNK_ELEMENTS = UNIT_ELEMENTS << 12;

  /** The most chunks: they are counted in 28 bits, of which all ones stand for none. */
  static final int MAX_CHUNKS = (1 << 28) - 1;

  private static final long MAGIC = 0x474F52504E4F494CL;
  private static final long VERSION = 1;
  private static final int MARK_OFFSET = 32;
  private static final int UNIT_BITS = 12;
  private static final int CHUNK_BITS = 28;
  private static final int STEP_SHIFT = CHUNK_BITS + UNIT_BITS;
  private static final long NO_PROGRESS = -1;
  private static final int SAVED_OFFSET = 64;
  private static final ValueLayout.OfLong I64 = ValueLayout.JAVA_LONG;
  private static final VarHandle WORD = I64.varHandle().withInvokeExactBehavior();

  private final MappedFile file;
  private final int[] bytesPerElement;
  private final long slotBytes;
  private final long savedBytes;

  ProgressFile(MappedFile file, StoreLayout layout) {
    this.file = file;
    this.bytesPerElement =
        layout.planes().stream().mapToInt(plane -> plane.type().bytes()).toArray();
    this.slotBytes = slotBytes(layout);
    this.savedBytes = savedBytes(layout);
  }

  static long size(StoreLayout layout, Geometry geometry) {
    long stamps = (long) geometry.chunkCount() * Long.BYTES;
    return MappedFile.wholePages(slotOffset(WORKERS, slotBytes(layout)) + stamps);
  }

  private static long savedBytes(StoreLayout layout) {
    int perElement = layout.planes().stream().mapToInt(plane -> plane.type().bytes()).sum();
    return (long) UNIT_ELEMENTS * perElement;
  }

  private static long slotBytes(StoreLayout layout) {
    return MappedFile.wholePages(SAVED_OFFSET + 2 * savedBytes(layout));
  }

  private static long slotOffset(int worker, long slotBytes) {
    return MappedFile.PAGE_BYTES + worker * slotBytes;
  }

  MappedFile file() {
    return file;
  }

  /** Writes the first page of a new file. */
  void initialise(UUID storeId) {
    MemorySegment page = file.memory();
    page.set(I64, 0, MAGIC);
    page.set(I64, 8, VERSION);
    page.set(I64, 16, storeId.getMostSignificantBits());
    page.set(I64, 24, storeId.getLeastSignificantBits());
    clear(WORKERS);
  }

  /** Checks that this is the progress of this store. */
  void requireOf(UUID storeId) throws FormatException {
    MemorySegment page = file.memory();
    if (page.get(I64, 0) != MAGIC) {
      throw new FormatException(file.path(), "not a store's progress: the magic number is another");
    }
    require("version", page.get(I64, 8), VERSION);
    require("store id", new UUID(page.get(I64, 16), page.get(I64, 24)), storeId);
  }

  private void require(String field, Object found, Object expected) throws FormatException {
    if (!found.equals(expected)) {
      throw new FormatException(file.path(), field, found, expected);
    }
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
   * Saves a unit's values of each plane: all of it, or up to the padding's end.
   *
   * @param planes a tensor's padded part of each plane
   * @param unit its index in the chunk
   * @param from the index of its first element in the tensor
   */
  void save(int worker, List<MemorySegment> planes, int unit, long from) {
    long savedOffset = savedOffset(worker, unit);
    for (int p = 0; p < bytesPerElement.length; p++) {
      MemorySegment plane = planes.get(p);
      long offset = from * bytesPerElement[p];
      long unitBytes = (long) UNIT_ELEMENTS * bytesPerElement[p];
      long bytes = Math.min(unitBytes, plane.byteSize() - offset);
      MemorySegment.copy(plane, offset, file.memory(), savedOffset, bytes);
      savedOffset += unitBytes;
    }
  }

  /** Puts back what {@link #save} saved. */
  void restore(int worker, List<MemorySegment> planes, int unit, long from) {
    long savedOffset = savedOffset(worker, unit);
    for (int p = 0; p < bytesPerElement.length; p++) {
      MemorySegment plane = planes.get(p);
      long offset = from * bytesPerElement[p];
      long unitBytes = (long) UNIT_ELEMENTS * bytesPerElement[p];
      long bytes = Math.min(unitBytes, plane.byteSize() - offset);
      MemorySegment.copy(file.memory(), savedOffset, plane, offset, bytes);
      savedOffset += unitBytes;
    }
  }

  private long savedOffset(int worker, int unit) {
    return slotOffset(worker, slotBytes) + SAVED_OFFSET + (unit & 1) * savedBytes;
  }

  /** Says that a unit, whose values are saved, is about to change. */
  void setProgress(int worker, long nextStep, int chunk, int unit) {
    long word = (nextStep << STEP_SHIFT) | ((long) chunk << UNIT_BITS) | unit;
    WORD.setRelease(file.memory(), slotOffset(worker, slotBytes), word);
    VarHandle.storeStoreFence();
  }

  /** The chunk that a worker has in hand, if it has one of this step; else -1. */
  int chunkInHand(int worker, long nextStep) {
    long word = progress(worker);
    boolean ofThisStep =
        word != NO_PROGRESS && word >>> STEP_SHIFT == (nextStep << STEP_SHIFT) >>> STEP_SHIFT;
    return ofThisStep ? (int) ((word >>> UNIT_BITS) & MAX_CHUNKS) : -1;
  }

  /** The unit that a worker was changing. */
  int unitInHand(int worker) {
    return (int) (progress(worker) & ((1 << UNIT_BITS) - 1));
  }

  private long progress(int worker) {
    return file.memory().get(I64, slotOffset(worker, slotBytes));
  }

  /** Forgets what the first workers had in hand; only between steps. */
  void clear(int workers) {
    for (int worker = 0; worker < workers; worker++) {
      file.memory().set(I64, slotOffset(worker, slotBytes), NO_PROGRESS);
    }
  }

  /** Says that a chunk is at the next step. */
  void stamp(int chunk, long mark) {
    WORD.setRelease(file.memory(), stampOffset(chunk), mark);
    VarHandle.storeStoreFence();
  }

  /** The mark that a chunk was last stamped with. */
  long stamp(int chunk) {
    return file.memory().get(I64, stampOffset(chunk));
  }

  private long stampOffset(int chunk) {
    return slotOffset(WORKERS, slotBytes) + (long) chunk * Long.BYTES;
  }
}
