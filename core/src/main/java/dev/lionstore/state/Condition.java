package dev.lionstore.state;

/**
 * What was found on opening a store.
 *
 * @param state in a word
 * @param step completed steps; those that recovery will reach if it is needed
 * @param sentence what was found and what will be done, for the user
 */
public record Condition(State state, long step, String sentence) {
  /** In a word. */
  public enum State {
    /** Closed in order; everything is on the disk. */
    CLEAN,
    /** Between steps; its writer lives, or was killed and has lost nothing. */
    IDLE,
    /** A living writer is in the middle of a step, or of a change of masters. */
    BUSY,
    /** A writer was killed in the middle of a step or change, which the next writer finishes. */
    RECOVERING,
    /** Parts are at different steps, or a file is not what the header says. */
    DAMAGED,
    /**
     * What the disk holds is unknown: the machine went down with the store open, or a sync failed.
     */
    UNTRUSTED
  }

  /** Whether a writer may open it. */
  public boolean usable() {
    return switch (state) {
      case CLEAN, IDLE, BUSY, RECOVERING -> true;
      case DAMAGED, UNTRUSTED -> false;
    };
  }
}
