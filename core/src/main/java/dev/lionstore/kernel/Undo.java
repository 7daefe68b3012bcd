package dev.lionstore.kernel;

import dev.lionstore.rule.Plane;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.util.List;

/**
 * Where one worker saves values before it changes them, so that a killed step can be finished: two
 * units of {@link #UNIT} elements, used in turn, and a word that says how much of the chunk in hand
 * has been saved.
 *
 * <p>The order of the stores is what counts. Values are saved first, then the word counts them,
 * then they are changed, before more of the unit after next is saved. So all but the last unit that
 * the word counts has been changed, and that one is here. Memory of a killed process is as its
 * instructions left it, in their order, so fences are for the compiler. Not thread-safe.
 *
 * <pre>
 *  unit u of the tensor, at (u mod 2) · bytes of a unit in all planes:
 *    plane after plane, {@link #UNIT} elements each
 * </pre>
 */
public class Undo {
  /** What is saved in one place, in elements. Units start at multiples of it in their tensor. */
  public static final int UNIT = Kernel.ALIGNMENT;

  private static final VarHandle WORD = ValueLayout.JAVA_LONG.varHandle().withInvokeExactBehavior();

  private final MemorySegment memory;
  private final long wordOffset;
  private final long unitsOffset;
  private final int[] bytesPerElement;
  private final long unitBytes;
  private long nothingSaved;
  private long chunkFrom;

  /**
   * In a file that outlives the process.
   *
   * @param memory of the file
   * @param wordOffset of the word, in bytes
   * @param unitsOffset of the two units, {@link #bytes} in all
   * @param planes whose values are saved
   */
  public Undo(MemorySegment memory, long wordOffset, long unitsOffset, List<Plane> planes) {
    this.memory = memory;
    this.wordOffset = wordOffset;
    this.unitsOffset = unitsOffset;
    this.bytesPerElement = planes.stream().mapToInt(plane -> plane.type().bytes()).toArray();
    this.unitBytes = bytes(planes) / 2;
  }

  /** What the two units take, in bytes. */
  public static long bytes(List<Plane> planes) {
    return 2L * UNIT * planes.stream().mapToInt(plane -> plane.type().bytes()).sum();
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
   * Saves a unit's values and counts them.
   *
   * @param from the index of the unit's first element in the tensor
   * @param count how many elements, at most {@link #UNIT}
   */
  public void save(TensorStep tensor, long from, int count) {
    long to = unitOffset(from);
    for (int p = 0; p < bytesPerElement.length; p++) {
      long bytes = bytesPerElement[p];
      MemorySegment.copy(tensor.planes().get(p), from * bytes, memory, to, count * bytes);
      to += UNIT * bytes;
    }
    setWord(word(from) + count);
  }

  /**
   * Puts back what was saved last.
   *
   * @param from the index of the unit's first element in the tensor
   * @param count how many of its elements were saved
   */
  public void restore(List<MemorySegment> planes, long from, int count) {
    long saved = unitOffset(from);
    for (int p = 0; p < bytesPerElement.length; p++) {
      long bytes = bytesPerElement[p];
      MemorySegment.copy(memory, saved, planes.get(p), from * bytes, count * bytes);
      saved += UNIT * bytes;
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

  /** Where the two units are, in bytes. */
  public long unitsOffset() {
    return unitsOffset;
  }

  private long unitOffset(long from) {
    return unitsOffset + (from / UNIT & 1) * unitBytes;
  }
}
