package dev.lionstore.opencl.driver;

import java.util.ArrayDeque;
import java.util.Deque;

/** What has been made so far, to be closed in reverse if the rest cannot be. */
public final class Closers implements AutoCloseable {
  /** Something that closes without a checked exception. */
  public interface Closer extends AutoCloseable {
    @Override
    void close();
  }

  private final Deque<Closer> made = new ArrayDeque<>();

  /** Adds what is closed before everything that was added earlier. */
  public <T extends Closer> T add(T next) {
    made.push(next);
    return next;
  }

  @Override
  public void close() {
    made.forEach(Closer::close);
    made.clear();
  }
}
