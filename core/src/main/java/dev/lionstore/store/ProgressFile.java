package dev.lionstore.store;

import dev.lionstore.kernel.Kernel;
import dev.lionstore.mapping.MappedFile;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;

/**
 * The file {@code progress}: how far a step has come. Native byte order: it means nothing on
 * another machine.
 *
 * <pre>
 *  slot of worker w, at w · slotBytes:
 *       0     8  progress: step to come (24 bits), chunk (28 bits), undo unit in the chunk (12 bits)
 *      64        saved values of an even unit: plane after plane, {@link #UNIT_ELEMENTS} each
 *     ...        saved values of an odd unit
 *  stamps, at WORKERS · slotBytes:
 *       8 each   chunk by chunk: CRC-32C of the intent (high half), step to come (low half)
 * </pre>
 *
 * A unit's values are saved before the progress names it, and the progress names it before the unit
 * changes; the two buffers alternate, so that the unit before, which may still be named, keeps its
 * values meanwhile. A chunk is stamped after its last unit. Memory of a killed process is as its
 * instructions left it, in their order, so the fences here are for the compiler.
 */
final class ProgressFile {
  static final String NAME = "progress";

  /** Elements of an undo unit. */
  static final int UNIT_ELEMENTS = Kernel.MAX_SLICE;

  /** How many workers can be applying at once. */
  static final int WORKERS = 256;

  /** The largest chunk: its units are counted in 12 bits. */
  static final int MAX_CHUNK_ELEMENTS = UNIT_ELEMENTS << 12;

  private static final int UNIT_BITS = 12;
  private static final int CHUNK_BITS = 28;
  private static final int SAVED_OFFSET = 64;
  private static final VarHandle I64 = ValueLayout.JAVA_LONG.varHandle().withInvokeExactBehavior();

  private final MappedFile file;
  private final long slotBytes;
  private final long savedBytes;

  ProgressFile(MappedFile file, StoreLayout layout) {
    this.file = file;
    this.slotBytes = slotBytes(layout);
    this.savedBytes = savedBytes(layout);
  }

  static long size(StoreLayout layout, Geometry geometry) {
    long stamps = (long) geometry.chunkCount() * Long.BYTES;
    return MappedFile.wholePages(WORKERS * slotBytes(layout) + stamps);
  }

  private static long savedBytes(StoreLayout layout) {
    int perElement = layout.planes().stream().mapToInt(plane -> plane.type().bytes()).sum();
    return (long) UNIT_ELEMENTS * perElement;
  }

  private static long slotBytes(StoreLayout layout) {
    return MappedFile.wholePages(SAVED_OFFSET + 2 * savedBytes(layout));
  }

  MappedFile file() {
    return file;
  }

  /** Where a worker saves a unit's values. */
  MemorySegment saved(int worker, int unit) {
    long offset = worker * slotBytes + SAVED_OFFSET + (unit & 1) * savedBytes;
    return file.memory().asSlice(offset, savedBytes);
  }

  /** Says that a unit, whose values are saved, is about to change. */
  void setProgress(int worker, long nextStep, int chunk, int unit) {
    long word = (nextStep << (CHUNK_BITS + UNIT_BITS)) | ((long) chunk << UNIT_BITS) | unit;
    I64.setRelease(file.memory(), worker * slotBytes, word);
    VarHandle.storeStoreFence();
  }

  /** The chunk that a worker has in hand, if it has one of this step; else -1. */
  int chunkInHand(int worker, long nextStep) {
    long word = file.memory().get(ValueLayout.JAVA_LONG, worker * slotBytes);
    boolean ofThisStep =
        word >>> (CHUNK_BITS + UNIT_BITS)
            == (nextStep << (CHUNK_BITS + UNIT_BITS)) >>> (CHUNK_BITS + UNIT_BITS);
    return ofThisStep ? (int) ((word >>> UNIT_BITS) & ((1 << CHUNK_BITS) - 1)) : -1;
  }

  /** The unit that a worker was changing. */
  int unitInHand(int worker) {
    long word = file.memory().get(ValueLayout.JAVA_LONG, worker * slotBytes);
    return (int) (word & ((1 << UNIT_BITS) - 1));
  }

  /** Forgets what all workers had in hand; only between steps. */
  void clear() {
    for (int worker = 0; worker < WORKERS; worker++) {
      file.memory().set(ValueLayout.JAVA_LONG, worker * slotBytes, -1L);
    }
  }

  /** Says that a chunk is at the next step. */
  void stamp(int chunk, long nextStep, int intentCrc) {
    I64.setRelease(file.memory(), stampOffset(chunk), stampOf(nextStep, intentCrc));
    VarHandle.storeStoreFence();
  }

  boolean isStamped(int chunk, long nextStep, int intentCrc) {
    return file.memory().get(ValueLayout.JAVA_LONG, stampOffset(chunk))
        == stampOf(nextStep, intentCrc);
  }

  /** The step that a chunk was last brought to, as its stamp says; exact below 2^32. */
  long stampedStep(int chunk) {
    return file.memory().get(ValueLayout.JAVA_LONG, stampOffset(chunk)) & 0xFFFFFFFFL;
  }

  private long stampOffset(int chunk) {
    return WORKERS * slotBytes + (long) chunk * Long.BYTES;
  }

  private static long stampOf(long nextStep, int intentCrc) {
    return ((long) intentCrc << Integer.SIZE) | (nextStep & 0xFFFFFFFFL);
  }
}
