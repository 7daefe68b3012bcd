package dev.lionstore.os;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;

/**
 * Functions of the C library. Whoever calls one keeps its handle in a static final field of a class
 * that has nothing else: it is constant for the compiler, and looked up on first use.
 */
final class Natives {
  /** Of a function whose first argument is a {@link #CALL_STATE}, for its errno. */
  static final Linker.Option TELLS_ERRNO = Linker.Option.captureCallState("errno");

  static final StructLayout CALL_STATE = Linker.Option.captureStateLayout();
  private static final VarHandle ERRNO =
      CALL_STATE.varHandle(MemoryLayout.PathElement.groupElement("errno"));

  private Natives() {}

  /**
   * Looks a function up.
   *
   * @param signature the C library's
   */
  @SuppressWarnings("restricted") // who calls vouches for the signature
  static MethodHandle function(
      String name, FunctionDescriptor signature, Linker.Option... options) {
    Linker linker = Linker.nativeLinker();
    return linker.downcallHandle(
        linker.defaultLookup().find(name).orElseThrow(), signature, options);
  }

  /** What a call has left in a {@link #CALL_STATE}. */
  static int errno(MemorySegment state) {
    return (int) ERRNO.get(state, 0L);
  }

  /** A failure of the system in its own words, with its number. */
  @SuppressWarnings("restricted") // a string ends with a zero
  static String words(int errno) {
    try {
      MemorySegment words = (MemorySegment) Calls.STRERROR.invokeExact(errno);
      return words.reinterpret(Long.MAX_VALUE).getString(0) + " (errno " + errno + ")";
    } catch (Throwable e) {
      throw unexpected("strerror", e);
    }
  }

  /** What to throw for what a handle threw, which only a mistake in this program can make it do. */
  static RuntimeException unexpected(String doing, Throwable thrown) {
    return switch (thrown) {
      case RuntimeException e -> e;
      case Error e -> throw e;
      default -> new IllegalStateException(doing, thrown);
    };
  }

  private static final class Calls {
    private static final MethodHandle STRERROR =
        function("strerror", FunctionDescriptor.of(ADDRESS, JAVA_INT));
  }
}
