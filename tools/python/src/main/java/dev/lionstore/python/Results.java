package dev.lionstore.python;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;

/** Text and bytes on their way to the thread that called. */
final class Results {
  private static final ThreadLocal<byte[]> WAITING = ThreadLocal.withInitial(() -> new byte[0]);

  private Results() {}

  /** Leaves text for the caller; gives its length in bytes. */
  static long leave(String text) {
    return leave(text.getBytes(StandardCharsets.UTF_8));
  }

  /** Leaves bytes for the caller; gives their number. */
  static long leave(byte[] bytes) {
    WAITING.set(bytes);
    return bytes.length;
  }

  /** Copies what was left for this thread, as far as there is room, and gives its whole length. */
  static long take(MemorySegment room) {
    byte[] bytes = WAITING.get();
    long copied = Math.min(room.byteSize(), bytes.length);
    MemorySegment.copy(
        MemorySegment.ofArray(bytes),
        ValueLayout.JAVA_BYTE,
        0,
        room,
        ValueLayout.JAVA_BYTE,
        0,
        copied);
    return bytes.length;
  }
}
