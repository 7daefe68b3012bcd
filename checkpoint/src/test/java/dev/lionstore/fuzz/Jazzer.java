package dev.lionstore.fuzz;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * Jazzer in a JVM of its own, where it may instrument what it likes. Its log, the corpus that it
 * builds on in the next run and what it finds lie in {@code target/fuzz}.
 */
final class Jazzer {
  private static final String MAIN = "com.code_intelligence.jazzer.Jazzer";
  private static final String INSTRUMENTED = "dev.lionstore.**:com.fasterxml.jackson.core.**";
  private static final Path DICTIONARY =
      Path.of("src", "test", "resources", "dev", "lionstore", "fuzz", "dictionary");

  /** An input that takes longer is a finding; the first has to load and instrument classes. */
  private static final int SECONDS_PER_INPUT = 25;

  private static final int LONGEST_INPUT_BYTES = 1 << 14;
  private static final Path MEMORY = Path.of("/dev/shm");

  private final Target target;
  private final Path folder;

  Jazzer(Target target) {
    this.target = target;
    this.folder = Path.of("target", "fuzz", target.toString()).toAbsolutePath();
  }

  /** Fuzzes that long; returns the exit code, which is not 0 after a finding. */
  int run(long seconds) throws IOException, InterruptedException {
    Path scratch =
        Files.isWritable(MEMORY)
            ? Files.createTempDirectory(MEMORY, "fuzz-") // seven times as fast as on a disk
            : Files.createTempDirectory("fuzz-");
    try {
      Files.createDirectories(corpus());
      writeSeeds();
      Process process =
          new ProcessBuilder(command(seconds, scratch))
              .redirectErrorStream(true)
              .redirectOutput(log().toFile())
              .start();
      try {
        if (process.waitFor(seconds + 4L * SECONDS_PER_INPUT, TimeUnit.SECONDS)) {
          return process.exitValue();
        }
        throw new AssertionError(target + " does not end: see " + log());
      } finally {
        process.destroyForcibly();
      }
    } finally {
      delete(scratch);
    }
  }

  /** What it printed. */
  List<String> lines() throws IOException {
    try (Stream<String> lines = Files.lines(log(), StandardCharsets.ISO_8859_1)) {
      return lines.toList();
    }
  }

  private Path log() {
    return folder.resolve("log");
  }

  private Path corpus() {
    return folder.resolve("corpus");
  }

  private void writeSeeds() throws IOException {
    for (int i = 0; i < target.seeds().size(); i++) {
      Files.write(corpus().resolve("seed-" + i), target.seeds().get(i));
    }
  }

  private List<String> command(long seconds, Path scratch) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("@" + System.getProperty("lionstore.root") + "/tools/bin/jvm.options");
    // Jazzer loads its agent into its own process, and the class data archive ends there.
    command.addAll(List.of("-XX:+EnableDynamicAgentLoading", "-Xshare:off"));
    command.addAll(List.of("--add-modules=jdk.incubator.vector", "-Xmx1g", "-XX:+UseSerialGC"));
    command.add("-Djava.io.tmpdir=" + scratch);
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), MAIN));
    command.add("--target_class=" + target.type().getName());
    command.add("--instrumentation_includes=" + INSTRUMENTED);
    command.add("--custom_hook_includes=" + INSTRUMENTED);
    command.add("--reproducer_path=" + folder);
    command.add("-artifact_prefix=" + folder + "/");
    command.add("-dict=" + DICTIONARY.toAbsolutePath());
    command.add("-timeout=" + SECONDS_PER_INPUT);
    command.add("-max_len=" + LONGEST_INPUT_BYTES);
    command.add("-rss_limit_mb=4096"); // -Xmx bounds the readers; the corpus lies outside the heap
    command.add("-max_total_time=" + seconds);
    command.add("-print_final_stats=1");
    command.add(corpus().toString());
    return command;
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> tree = Files.walk(folder)) {
      for (Path path : tree.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(path);
      }
    }
  }
}
