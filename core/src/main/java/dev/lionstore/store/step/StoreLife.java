package dev.lionstore.store.step;

import dev.lionstore.state.StoreUnusableException;
import java.nio.file.Path;

/**
 * What may be done with an open store now. A change begins by calling the store failed, and takes
 * that back when it has ended: whatever is thrown meanwhile is final.
 */
public final class StoreLife {
  private final Path directory;
  private volatile State state = State.OPEN;

  private enum State {
    /** Between steps. */
    OPEN("it is between steps"),
    /** Nothing else may be done before a streaming step ends. */
    STREAMING("a streaming step is under way; finish it first"),
    /** Nothing more may be done with it but closing. */
    FAILED("an earlier failure was final; close the store and open it again"),
    CLOSED("it has been closed");

    private final String sentence;

    State(String sentence) {
      this.sentence = sentence;
    }
  }

  /** A change of the state. */
  public interface Change<E extends Exception> {
    /** Makes it. */
    void run() throws E;
  }

  /** Of the store in a folder, which is open. */
  public StoreLife(Path directory) {
    this.directory = directory;
  }

  /** Whether it is between steps. */
  public boolean isOpen() {
    return state == State.OPEN;
  }

  /** Whether it is in a streaming step. */
  public boolean isStreaming() {
    return state == State.STREAMING;
  }

  /** Whether it has been closed. */
  public boolean isClosed() {
    return state == State.CLOSED;
  }

  /**
   * Checks that it is between steps, for those who use no file: gradients that are put after a
   * failure would take the place of those that finish the step.
   *
   * @throws IllegalStateException if it is not
   */
  public void requireOpen() {
    if (state != State.OPEN) {
      throw new IllegalStateException("store " + directory + ": " + state.sentence);
    }
  }

  /** The same where a copy may be read in a streaming step, too. */
  public void requireReadable() {
    if (state != State.STREAMING) {
      requireOpen();
    }
  }

  /**
   * Checks that it is between steps.
   *
   * @throws StoreUnusableException if it is not
   */
  public void requireUsable() throws StoreUnusableException {
    if (state != State.OPEN) {
      throw new StoreUnusableException(directory, state.sentence);
    }
  }

  /**
   * Checks that a streaming step is under way.
   *
   * @throws IllegalStateException if it has ended
   */
  public void requireStreaming() {
    if (state != State.STREAMING) {
      throw new IllegalStateException(
          "the streaming step of " + directory + " has ended: " + state.sentence);
    }
  }

  /** Makes a change; afterwards it is as before, unless the change throws. */
  public <E extends Exception> void during(Change<E> change) throws E {
    State before = state;
    state = State.FAILED;
    change.run();
    state = before;
  }

  /** Begins a streaming step. */
  public <E extends Exception> void beginStreaming(Change<E> change) throws E {
    during(change);
    state = State.STREAMING;
  }

  /** Ends a streaming step. */
  public <E extends Exception> void endStreaming(Change<E> change) throws E {
    during(change);
    state = State.OPEN;
  }

  /** A failure is final. */
  public void fail() {
    state = State.FAILED;
  }

  /** It has been closed. */
  public void close() {
    state = State.CLOSED;
  }
}
