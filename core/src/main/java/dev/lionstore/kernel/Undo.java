package dev.lionstore.kernel;

import dev.lionstore.rule.Plane;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.util.List;

/**
 * Where one worker saves values before it changes them, so that a killed step can be finished: two
 * buffers of {@link Kernel#MAX_SLICE} elements, used in turn, and a word that says how far the
 * chunk in hand has been saved.
 *
 * <p>The order of the stores is what counts. Values are saved first, then the word counts them,
 * then they are changed. A slice's values go to the buffer that the slice before did not use: the
 * word may still count that one. Memory of a killed process is as its instructions left it, in
 * their order, so fences are for the compiler. Not thread-safe.
 */
public class Undo {
  private static final VarHandle WORD = ValueLayout.JAVA_LONG.varHandle().withInvokeExactBehavior();

  private final MemorySegment memory;
  private final long wordOffset;
  private final long buffersOffset;
  private final int[] bytesPerElement;
  private final long bufferBytes;
  private long nothingSaved;
  private long chunkFrom;

  /**
   * In a file that outlives the process.
   *
   * @param memory of the file
   * @param wordOffset of the word, in bytes
   * @param buffersOffset of the two buffers, {@link #bytes} in all
   * @param planes whose values are saved
   */
  public Undo(MemorySegment memory, long wordOffset, long buffersOffset, List<Plane> planes) {
    this.memory = memory;
    this.wordOffset = wordOffset;
    this.buffersOffset = buffersOffset;
    this.bytesPerElement = planes.stream().mapToInt(plane -> plane.type().bytes()).toArray();
    this.bufferBytes = bytes(planes) / 2;
  }

  /** What the two buffers take, in bytes. */
  public static long bytes(List<Plane> planes) {
    return 2L * Kernel.MAX_SLICE * planes.stream().mapToInt(plane -> plane.type().bytes()).sum();
  }

  /**
   * Takes a chunk in hand.
   *
   * @param word what the word is while nothing of it is saved; elements saved are added to it
   * @param from the index in its tensor of the chunk's first element
   */
  public void begin(long word, long from) {
    nothingSaved = word;
    chunkFrom = from;
  }

  /**
   * Saves a slice's values and counts them.
   *
   * @param from the index of the slice's first element in the tensor
   * @param count how many elements, at most {@link Kernel#MAX_SLICE}
   */
  public void save(TensorStep tensor, long from, int count) {
    long to = bufferOffset(from);
    for (int p = 0; p < bytesPerElement.length; p++) {
      long bytes = bytesPerElement[p];
      MemorySegment.copy(tensor.planes().get(p), from * bytes, memory, to, count * bytes);
      to += Kernel.MAX_SLICE * bytes;
    }
    setWord(word(from) + count);
  }

  /**
   * Puts back what was saved last.
   *
   * @param from the index of the slice's first element in the tensor
   * @param count how many of its elements were saved
   */
  public void restore(List<MemorySegment> planes, long from, int count) {
    long saved = bufferOffset(from);
    for (int p = 0; p < bytesPerElement.length; p++) {
      long bytes = bytesPerElement[p];
      MemorySegment.copy(memory, saved, planes.get(p), from * bytes, count * bytes);
      saved += Kernel.MAX_SLICE * bytes;
    }
  }

  /** Sets the word, after all stores before and before all stores after. */
  public void setWord(long word) {
    WORD.setRelease(memory, wordOffset, word);
    VarHandle.storeStoreFence();
  }

  /** The file's memory, for kernels that save while they compute. */
  public MemorySegment memory() {
    return memory;
  }

  /** Where the word is, in bytes. */
  public long wordOffset() {
    return wordOffset;
  }

  /** What the word is when everything before an element of the tensor is saved. */
  public long word(long before) {
    return nothingSaved + (before - chunkFrom);
  }

  /**
   * Where a slice's values are saved, in bytes: plane after plane, {@link Kernel#MAX_SLICE}
   * elements each.
   *
   * @param from the index of the slice's first element in the tensor
   */
  public long bufferOffset(long from) {
    return buffersOffset + (from / Kernel.MAX_SLICE & 1) * bufferBytes;
  }
}
