package dev.lionstore.crash.harness;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * How a command ended.
 *
 * @param exit its exit code
 * @param out what it said, errors included
 */
public record ProcessResult(int exit, String out) {
  private static final int MINUTES = 2;

  /** Runs it to its end. */
  public static ProcessResult run(String... words) throws IOException, InterruptedException {
    Path out = Files.createTempFile("command", ".log");
    Process process =
        new ProcessBuilder(words).redirectErrorStream(true).redirectOutput(out.toFile()).start();
    if (!process.waitFor(MINUTES, TimeUnit.MINUTES)) {
      process.destroyForcibly();
      throw new IOException(String.join(" ", words) + " does not end");
    }
    String said = Files.readString(out, StandardCharsets.UTF_8).strip();
    Files.delete(out);
    return new ProcessResult(process.exitValue(), said);
  }

  /** Runs what the caller cannot do without, such as a mount; returns what it said. */
  public static String need(String... words) throws IOException, InterruptedException {
    ProcessResult result = run(words);
    if (result.exit != 0) {
      throw new IOException(
          String.join(" ", words) + " failed, and nothing is tested without it: " + result);
    }
    return result.out;
  }

  /** A worker's command line after another one's, such as a tracer's. */
  public static String[] worker(List<String> before, Class<?> main, String... arguments) {
    return java(before, List.of("-XX:TieredStopAtLevel=1", "-Xmx64m"), main, arguments);
  }

  /** The command line of a JVM like this one, with another one's before it. */
  public static String[] java(
      List<String> before, List<String> flags, Class<?> main, String... arguments) {
    List<String> words = new ArrayList<>(before);
    words.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    words.add("@" + System.getProperty("lionstore.root") + "/tools/bin/jvm.options");
    words.add("--add-modules=jdk.incubator.vector");
    words.add("-XX:+DisplayVMOutputToStderr"); // what a worker prints is for its reader alone
    words.add("-Dlionstore.root=" + System.getProperty("lionstore.root"));
    words.addAll(flags);
    words.addAll(List.of("-cp", System.getProperty("java.class.path"), main.getName()));
    words.addAll(List.of(arguments));
    return words.toArray(String[]::new);
  }
}
