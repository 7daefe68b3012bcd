package dev.lionstore.store.file;

/**
 * The word that ties a file, or a chunk of it, to one step's intent: CRC-32C of the intent's header
 * in the high half, the step that it leads to in the low half.
 */
public final class Mark {
  /** The last step that can be counted. */
  public static final long LAST_STEP = Integer.MAX_VALUE;

  /** That of no intent. */
  public static final long NONE = 0;

  private Mark() {}

  public static long of(long nextStep, int intentCrc) {
    return ((long) intentCrc << Integer.SIZE) | nextStep;
  }

  /** The step that it leads to. */
  public static long step(long mark) {
    return mark & 0xFFFFFFFFL;
  }
}
