package dev.lionstore.os;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;

/**
 * What this process does on signals. The JVM lives by SIGSEGV: it stops threads and finds null by
 * it. A library that puts handlers of its own over the JVM's sees those signals first and takes
 * them for crashes.
 */
public final class SignalHandlers {
  /** Of those that the system itself raises. */
  private static final int MOST_SIGNAL = 31;

  /** Of a {@code struct sigaction}: 152 bytes in glibc on x86-64, fewer elsewhere. */
  private static final long MOST_BYTES = 256;

  private static final long PAUSE_NANOSECONDS = 10_000;

  private SignalHandlers() {}

  /** Does work, and puts every handler back that changes meanwhile, in less than a millisecond. */
  public static void keep(Runnable work) {
    AtomicBoolean done = new AtomicBoolean();
    try (Arena arena = Arena.ofShared();
        ExecutorService watcher = Executors.newSingleThreadExecutor()) {
      SortedMap<Integer, MemorySegment> kept = actions(arena);
      MemorySegment now = arena.allocate(MOST_BYTES);
      watcher.execute(() -> {
        boolean last;
        do {
          LockSupport.parkNanos(PAUSE_NANOSECONDS);
          last = done.get();
          putBack(kept, now);
        } while (!last);
      });
      try {
        work.run();
      } finally {
        done.set(true);
      }
    }
  }

  /** By signal; those that nobody may handle have none. */
  private static SortedMap<Integer, MemorySegment> actions(Arena arena) {
    SortedMap<Integer, MemorySegment> actions = new TreeMap<>();
    for (int signal = 1; signal <= MOST_SIGNAL; signal++) {
      MemorySegment action = arena.allocate(MOST_BYTES);
      if (call(signal, MemorySegment.NULL, action)) {
        actions.put(signal, action);
      }
    }
    return actions;
  }

  private static void putBack(SortedMap<Integer, MemorySegment> kept, MemorySegment now) {
    for (Map.Entry<Integer, MemorySegment> entry : kept.entrySet()) {
      call(entry.getKey(), MemorySegment.NULL, now);
      if (entry.getValue().mismatch(now) >= 0) {
        call(entry.getKey(), entry.getValue(), MemorySegment.NULL);
      }
    }
  }

  /** Returns false if the system refuses. */
  private static boolean call(int signal, MemorySegment action, MemorySegment old) {
    try {
      return (int) Calls.SIGACTION.invokeExact(signal, action, old) == 0;
    } catch (Throwable e) {
      throw Natives.unexpected("sigaction", e);
    }
  }

  private static final class Calls {
    private static final MethodHandle SIGACTION =
        Natives.function("sigaction", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, ADDRESS));
  }
}
