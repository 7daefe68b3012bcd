package dev.lionstore.mapping;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.util.Optional;

/**
 * The sign that somebody works in a folder: an flock(2), which the system takes away when its
 * holder dies, whatever kills it, and which tells apart two threads of one process. A process id in
 * a name tells neither: ids are reused, and each container counts its own.
 */
final class FolderLock implements AutoCloseable {
  private static final int READ_CLOEXEC = 0x80000;
  private static final int EXCLUSIVE_WITHOUT_WAITING = 2 | 4;

  private final int descriptor;
  private boolean closed;

  private FolderLock(int descriptor) {
    this.descriptor = descriptor;
  }

  /** Takes the lock; empty if somebody has it, the folder is gone or its file system has none. */
  static Optional<FolderLock> tryTake(Path folder) {
    try (Arena arena = Arena.ofConfined()) {
      int descriptor =
          (int) Calls.OPEN.invokeExact(arena.allocateFrom(folder.toString()), READ_CLOEXEC);
      if (descriptor < 0) {
        return Optional.empty();
      }
      if ((int) Calls.FLOCK.invokeExact(descriptor, EXCLUSIVE_WITHOUT_WAITING) != 0) {
        int _ = (int) Calls.CLOSE.invokeExact(descriptor);
        return Optional.empty();
      }
      return Optional.of(new FolderLock(descriptor));
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException("flock on " + folder, e);
    }
  }

  /** Gives the lock back. Closing twice does nothing. */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    try {
      int _ = (int) Calls.CLOSE.invokeExact(descriptor);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException("close", e);
    }
  }

  /** Looked up on first use: reading commands never need them. */
  private static final class Calls {
    private static final MethodHandle OPEN =
        function("open", ValueLayout.ADDRESS, ValueLayout.JAVA_INT);
    private static final MethodHandle CLOSE = function("close", ValueLayout.JAVA_INT);
    private static final MethodHandle FLOCK =
        function("flock", ValueLayout.JAVA_INT, ValueLayout.JAVA_INT);

    @SuppressWarnings("restricted") // the signatures are the system's
    private static MethodHandle function(String name, MemoryLayout... arguments) {
      Linker linker = Linker.nativeLinker();
      Linker.Option[] options =
          name.equals("open")
              ? new Linker.Option[] {Linker.Option.firstVariadicArg(arguments.length)}
              : new Linker.Option[0];
      return linker.downcallHandle(
          linker.defaultLookup().find(name).orElseThrow(),
          FunctionDescriptor.of(ValueLayout.JAVA_INT, arguments),
          options);
    }
  }
}
