package dev.lionstore.crash.kill;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** How worker processes are started: as cheaply as a JVM can, or with the optimising compiler. */
final class WorkerJvm {
  private static final List<String> CHEAP =
      List.of("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx64m", "-Xlog:disable");

  /** Compiles the store's own code early with the compiler that reorders most. */
  private static final List<String> OPTIMISED =
      List.of(
          "-XX:-TieredCompilation",
          "-XX:CompileThreshold=200",
          "-XX:+UseSerialGC",
          "-Xmx128m",
          "-Xlog:disable");

  private final Path folder;
  private final Path cache;

  /**
   * Prepares to start workers.
   *
   * @param folder for what they have in common
   */
  WorkerJvm(Path folder) {
    this.folder = folder;
    this.cache = folder.resolve("workers.aot");
  }

  /** Takes a picture of a started worker, which halves the start of the others. */
  void warmUp(CrashWorker.Life life) throws IOException, InterruptedException {
    List<String> flags = new ArrayList<>(CHEAP);
    flags.add("-XX:AOTCacheOutput=" + cache);
    Process process = start(flags, life, folder.resolve("warm-up.log"));
    process.getInputStream().readAllBytes();
    process.waitFor(1, TimeUnit.MINUTES);
  }

  Process startCheap(CrashWorker.Life life, Path log) throws IOException {
    List<String> flags = new ArrayList<>(CHEAP);
    if (Files.exists(cache)) {
      flags.add("-XX:AOTCache=" + cache);
    }
    return start(flags, life, log);
  }

  Process startOptimised(CrashWorker.Life life, Path log) throws IOException {
    return start(OPTIMISED, life, log);
  }

  private static Process start(List<String> flags, CrashWorker.Life life, Path log)
      throws IOException {
    return start(flags, CrashWorker.class, life.arguments(), log);
  }

  /** Starts any worker; what it prints can be read, what it complains of goes to the log. */
  static Process start(List<String> flags, Class<?> main, String[] arguments, Path log)
      throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("@" + System.getProperty("lionstore.root") + "/tools/bin/jvm.options");
    command.add("--add-modules=jdk.incubator.vector");
    command.addAll(flags);
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.add(main.getName());
    command.addAll(List.of(arguments));
    return new ProcessBuilder(command).redirectError(log.toFile()).start();
  }
}
