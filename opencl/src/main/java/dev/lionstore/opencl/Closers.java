package dev.lionstore.opencl;

import java.util.ArrayDeque;
import java.util.Deque;

/** What has been made so far, to be closed in reverse if the rest cannot be. */
final class Closers implements AutoCloseable {
  /** Something that closes without a checked exception. */
  interface Closer extends AutoCloseable {
    @Override
    void close();
  }

  private final Deque<Closer> made = new ArrayDeque<>();

  <T extends AutoCloseable> T add(T next, Closer closer) {
    made.push(closer);
    return next;
  }

  Queue add(Queue queue) {
    return add(queue, queue::close);
  }

  Calls add(Calls calls) {
    return add(calls, calls::close);
  }

  DeviceBuffer add(DeviceBuffer buffer) {
    return add(buffer, buffer::close);
  }

  @Override
  public void close() {
    made.forEach(Closer::close);
    made.clear();
  }
}
