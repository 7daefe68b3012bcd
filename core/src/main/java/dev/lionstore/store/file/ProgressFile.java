package dev.lionstore.store.file;

import dev.lionstore.FormatException;
import dev.lionstore.kernel.Undo;
import dev.lionstore.os.MappedFile;
import dev.lionstore.state.StoreLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
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
 *      40     8  changes of masters between steps (see {@link ChangesFile})
 *  slot of worker w, at 4096 + w · slotBytes:
 *       0     8  word: step to come (14 bits), chunk (28 bits), whether it has been saved whole, in
 *                {@link ChunkUndoFile} (1 bit), else elements of it that have been saved (21 bits);
 *                -1 for none
 *      64        saved values (see {@link Undo}): room for those of the rule that has the most
 *  stamps, at 4096 + WORKERS · slotBytes:
 *       8 each   chunk by chunk: the mark of the intent that was last applied to it
 * </pre>
 *
 * Of the elements saved, the last unit, begun or whole, is in the slot; what is before has been
 * changed. A chunk is stamped after its last unit. Memory of a killed process is as its
 * instructions left it, in their order, so the fences here are for the compiler.
 */
public class ProgressFile {
  public static final String NAME = "progress";

  /** How many workers can be applying at once. */
  public static final int WORKERS = 128;

  /** What chunks are multiples of, in elements. */
  public static final int CHUNK_MULTIPLE = 256;

  /** The largest chunk: its elements are counted in 21 bits. */
  public static final int MAX_CHUNK_ELEMENTS = 1 << 20;

  /** The most chunks: they are counted in 28 bits, of which all ones stand for none. */
  public static final int MAX_CHUNKS = (1 << 28) - 1;

  private static final long MAGIC = 0x474F52504E4F494CL;
  private static final long VERSION = 3;
  private static final int MARK_OFFSET = 32;
  private static final int CHANGES_OFFSET = 40;
  private static final int SAVED_BITS = 21;
  private static final int CHUNK_BITS = 28;
  private static final int CHUNK_SHIFT = SAVED_BITS + 1;
  private static final int STEP_SHIFT = CHUNK_SHIFT + CHUNK_BITS;
  private static final long WHOLE = 1L << SAVED_BITS;
  private static final long NO_PROGRESS = -1;
  private static final int UNITS_OFFSET = 64;
  private static final ValueLayout.OfLong I64 = ValueLayout.JAVA_LONG;
  private static final VarHandle WORD = I64.varHandle().withInvokeExactBehavior();

  private final MappedFile file;
  private final long slotBytes;

  public ProgressFile(MappedFile file, StoreLayout layout) {
    this.file = file;
    this.slotBytes = slotBytes(layout);
  }

  public static long size(StoreLayout layout, Geometry geometry) {
    long stamps = (long) geometry.chunkCount() * Long.BYTES;
    return MappedFile.wholePages(slotOffset(WORKERS, slotBytes(layout)) + stamps);
  }

  private static long slotBytes(StoreLayout layout) {
    long largest = layout.rules().stream().mapToLong(Undo::bytes).max().orElseThrow();
    return MappedFile.wholePages(UNITS_OFFSET + largest);
  }

  private static long slotOffset(int worker, long slotBytes) {
    return MappedFile.PAGE_BYTES + worker * slotBytes;
  }

  public MappedFile file() {
    return file;
  }

  /** Writes the first page of a new file. */
  public void initialise(UUID storeId) {
    MemorySegment page = file.memory();
    page.set(I64, 0, MAGIC);
    page.set(I64, 8, VERSION);
    page.set(I64, 16, storeId.getMostSignificantBits());
    page.set(I64, 24, storeId.getLeastSignificantBits());
    clear(WORKERS);
  }

  /** Checks that this is the progress of this store. */
  public void requireOf(UUID storeId) throws FormatException {
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
  public long mark() {
    return file.memory().get(I64, MARK_OFFSET);
  }

  /** Says which intent is about to be applied. */
  public void tieTo(long mark) {
    file.memory().set(I64, MARK_OFFSET, mark);
  }

  /** How often masters have been changed between steps: for those who read meanwhile. */
  public long changes() {
    return file.memory().get(I64, CHANGES_OFFSET);
  }

  /** Says that masters will change at the step that the store is at. */
  public void countChange() {
    file.memory().set(I64, CHANGES_OFFSET, changes() + 1);
    VarHandle.storeStoreFence();
  }

  /** Where a worker saves what it is about to change. */
  public Undo undo(int worker) {
    long slot = slotOffset(worker, slotBytes);
    return undo(file.memory(), slot, slot + UNITS_OFFSET);
  }

  public Undo undo(MemorySegment memory, long wordOffset, long unitsOffset) {
    return new Undo(memory, wordOffset, unitsOffset);
  }

  /** What a worker's word is when it has taken a chunk in hand and saved nothing of it. */
  public static long begun(long nextStep, int chunk) {
    return (nextStep << STEP_SHIFT) | ((long) chunk << CHUNK_SHIFT);
  }

  /** What a worker's word is when it has saved a chunk whole. */
  public static long whole(long nextStep, int chunk) {
    return begun(nextStep, chunk) | WHOLE;
  }

  /** Whether the chunk in hand has been saved whole. */
  public boolean wholeInHand(int worker) {
    return (progress(worker) & WHOLE) != 0;
  }

  /** The chunk that a worker has in hand, if it has one of this step; else -1. */
  public int chunkInHand(int worker, long nextStep) {
    long word = progress(worker);
    boolean ofThisStep =
        word != NO_PROGRESS && word >>> STEP_SHIFT == (nextStep << STEP_SHIFT) >>> STEP_SHIFT;
    return ofThisStep ? chunk(word) : -1;
  }

  /** The chunk that a word is about. */
  public static int chunk(long word) {
    return (int) ((word >>> CHUNK_SHIFT) & MAX_CHUNKS);
  }

  /** How many elements of the chunk in hand have been saved. */
  public int savedInHand(int worker) {
    return (int) (progress(worker) & ((1 << SAVED_BITS) - 1));
  }

  private long progress(int worker) {
    return file.memory().get(I64, slotOffset(worker, slotBytes));
  }

  /** Forgets what the first workers had in hand; only between steps. */
  public void clear(int workers) {
    for (int worker = 0; worker < workers; worker++) {
      file.memory().set(I64, slotOffset(worker, slotBytes), NO_PROGRESS);
    }
  }

  /** Says that a chunk is at the next step. */
  public void stamp(int chunk, long mark) {
    WORD.setRelease(file.memory(), stampOffset(chunk), mark);
    VarHandle.storeStoreFence();
  }

  /** The mark that a chunk was last stamped with. */
  public long stamp(int chunk) {
    return file.memory().get(I64, stampOffset(chunk));
  }

  private long stampOffset(int chunk) {
    return slotOffset(WORKERS, slotBytes) + (long) chunk * Long.BYTES;
  }
}
