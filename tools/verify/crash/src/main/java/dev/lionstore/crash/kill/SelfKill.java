package dev.lionstore.crash.kill;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/** A SIGKILL that the process sends itself: no thread runs another instruction. */
final class SelfKill {
  private static final int SIGKILL = 9;

  private final MethodHandle function = function();
  private final int self = Math.toIntExact(ProcessHandle.current().pid());

  @SuppressWarnings("restricted") // the signature is POSIX's
  private static MethodHandle function() {
    Linker linker = Linker.nativeLinker();
    return linker.downcallHandle(
        linker.defaultLookup().find("kill").orElseThrow(),
        FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT));
  }

  void kill() {
    try {
      int error = (int) function.invokeExact(self, SIGKILL);
      throw new IllegalStateException("kill returned " + error);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException("cannot kill itself", e);
    }
  }
}
