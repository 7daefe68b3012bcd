package dev.lionstore.os;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.FunctionDescriptor;
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
    int descriptor = Posix.open(folder, READ_CLOEXEC);
    if (descriptor < 0) {
      return Optional.empty();
    }
    try {
      if ((int) Calls.FLOCK.invokeExact(descriptor, EXCLUSIVE_WITHOUT_WAITING) != 0) {
        Posix.close(descriptor);
        return Optional.empty();
      }
      return Optional.of(new FolderLock(descriptor));
    } catch (Throwable e) {
      throw Natives.unexpected("flock on " + folder, e);
    }
  }

  /** Gives the lock back. Closing twice does nothing. */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    Posix.close(descriptor);
  }

  /** Looked up on first use: reading commands never need them. */
  private static final class Calls {
    private static final MethodHandle FLOCK =
        Natives.function("flock", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT));
  }
}
