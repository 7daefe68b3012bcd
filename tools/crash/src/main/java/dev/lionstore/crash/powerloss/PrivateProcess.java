package dev.lionstore.crash.powerloss;

import dev.lionstore.crash.Command;
import java.io.IOException;
import java.util.List;

/**
 * A JVM that is the first process of namespaces of its own: nobody else sees what it mounts, and
 * when it ends, however it does, the kernel kills what it has started and undoes what it has
 * mounted.
 */
final class PrivateProcess {
  private static final List<String> UNSHARE =
      List.of("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc");

  private PrivateProcess() {}

  /** Runs a main class to its end, which is at the latest that of this JVM; its exit code. */
  static int run(Class<?> main, List<String> arguments) throws IOException, InterruptedException {
    String[] command =
        Command.java(UNSHARE, List.of("-Xlog:disable"), main, arguments.toArray(String[]::new));
    Process process = new ProcessBuilder(command).inheritIO().start();
    Thread hook = new Thread(process::destroyForcibly);
    Runtime.getRuntime().addShutdownHook(hook);
    try {
      return process.waitFor();
    } finally {
      process.destroyForcibly();
      Runtime.getRuntime().removeShutdownHook(hook);
    }
  }
}
