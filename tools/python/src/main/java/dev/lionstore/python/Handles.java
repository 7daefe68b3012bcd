package dev.lionstore.python;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/** What C holds of objects: numbers, each given once, so that one used too late is noticed. */
final class Handles {
  private static final Map<Long, Object> OBJECTS = new ConcurrentHashMap<>();
  private static final AtomicLong LAST = new AtomicLong();

  private Handles() {}

  static long add(Object object) {
    long handle = LAST.incrementAndGet();
    OBJECTS.put(handle, object);
    return handle;
  }

  /**
   * The object of a number.
   *
   * @throws IllegalStateException if it has been removed
   */
  static <T> T get(Class<T> type, long handle) {
    Object object = OBJECTS.get(handle);
    if (object == null) {
      throw new IllegalStateException("it has been closed");
    }
    return type.cast(object);
  }

  static <T> T remove(Class<T> type, long handle) {
    T object = get(type, handle);
    OBJECTS.remove(handle);
    return object;
  }
}
