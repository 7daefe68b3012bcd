package dev.lionstore.kernel;

import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
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
 *  unit u of the tensor, at (u mod 2) · bytes of a unit in all planes of the tensor's rule:
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
  private long nothingSaved;
  private long chunkFrom;

  /**
   * In a file that outlives the process.
   *
   * @param memory of the file
   * @param wordOffset of the word, in bytes
   * @param unitsOffset of the two units: room for {@link #bytes} of every rule that is stepped
   */
  public Undo(MemorySegment memory, long wordOffset, long unitsOffset) {
    this.memory = memory;
    this.wordOffset = wordOffset;
    this.unitsOffset = unitsOffset;
  }

  /** What the two units take of a tensor of a rule, in bytes. */
  public static long bytes(UpdateRule rule) {
    return 2 * unitBytes(rule.allPlanes());
  }

  private static long unitBytes(List<Plane> planes) {
    long bytes = 0;
    for (int p = 0; p < planes.size(); p++) {
      bytes += planes.get(p).type().bytes(UNIT);
    }
    return bytes;
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
    List<Plane> planes = tensor.rule().allPlanes();
    long to = unitOffset(planes, from);
    for (int p = 0; p < planes.size(); p++) {
      Plane.Type type = planes.get(p).type();
      MemorySegment plane = tensor.planes().get(p);
      MemorySegment.copy(plane, type.bytes(from), memory, to, type.bytes(count));
      to += type.bytes(UNIT);
    }
    setWord(word(from) + count);
  }

  /**
   * Puts back what was saved last.
   *
   * @param from the index of the unit's first element in the tensor
   * @param count how many of its elements were saved
   */
  public void restore(TensorStep tensor, long from, int count) {
    List<Plane> planes = tensor.rule().allPlanes();
    long saved = unitOffset(planes, from);
    for (int p = 0; p < planes.size(); p++) {
      Plane.Type type = planes.get(p).type();
      MemorySegment plane = tensor.planes().get(p);
      MemorySegment.copy(memory, saved, plane, type.bytes(from), type.bytes(count));
      saved += type.bytes(UNIT);
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

  private long unitOffset(List<Plane> planes, long from) {
    return unitsOffset + (from / UNIT & 1) * unitBytes(planes);
  }
}
