package dev.lionstore.crash.powerloss;

import dev.lionstore.crash.harness.ProcessResult;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * A JVM that is the first process of namespaces of its own: nobody else sees what it mounts, and
 * when it ends, however it does, the kernel kills what it has started and undoes what it has
 * mounted.
 */
final class PrivateProcess {
  private PrivateProcess() {}

  /** Runs a main class to its end, which is at the latest that of this JVM; its exit code. */
  static int run(Class<?> main, List<String> arguments) throws IOException, InterruptedException {
    String[] command =
        ProcessResult.java(
            unshare(), List.of("-Xlog:disable"), main, arguments.toArray(String[]::new));
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

  /** In a chroot whose root is no mount of its own, propagation cannot be changed. */
  private static List<String> unshare() throws IOException {
    try (Stream<String> mounts = Files.lines(Path.of("/proc/self/mountinfo"))) {
      boolean isMount = mounts.anyMatch(line -> line.split(" ", 6)[4].equals("/"));
      String propagation = isMount ? "private" : "unchanged";
      return List.of(
          "unshare",
          "--mount",
          "--propagation",
          propagation,
          "--pid",
          "--fork",
          "--kill-child",
          "--mount-proc");
    }
  }
}
