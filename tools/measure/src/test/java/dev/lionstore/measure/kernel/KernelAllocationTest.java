package dev.lionstore.measure.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/**
 * Whether C2 boxes vectors depends on what the JVM did before, and on when it compiles: each probe
 * is a JVM of its own.
 */
class KernelAllocationTest {
  private static final Duration PATIENCE = Duration.ofSeconds(20);

  /** As a training that does one kind of step. */
  @Test
  void stepsOfLionAllocateNothing() throws IOException, InterruptedException {
    assertQuiet(new SplittableRandom().nextLong(), "lion of BF16");
  }

  /** What is compiled first decides which classes of vectors the JDK's methods have seen. */
  @Test
  void noLoopAllocatesInWhateverOrder() throws IOException, InterruptedException {
    assertQuiet(new SplittableRandom().nextLong(), "");
  }

  /** In this order four JVMs of five boxed before jvm.options had PerMethodRecompilationCutoff. */
  @Test
  void theOrderThatBoxedIsQuiet() throws IOException, InterruptedException {
    assertQuiet(-8372203348445880680L, "");
  }

  private static void assertQuiet(long seed, String loops)
      throws IOException, InterruptedException {
    Probe probe = probe(seed, PATIENCE, loops);
    assertEquals(0, probe.exitCode, () -> "seed " + seed + ": " + probe.output);
  }

  @Test
  void probeFindsVectorsThatAreBoxed() throws IOException, InterruptedException {
    Probe probe =
        probe(
            1,
            Duration.ofSeconds(2),
            "lion of BF16, NEAREST",
            "-XX:+UnlockExperimentalVMOptions",
            "-XX:-EnableVectorSupport");
    assertEquals(1, probe.exitCode, probe.output);
    assertTrue(probe.output.contains(" allocates "), probe.output);
  }

  private record Probe(int exitCode, String output) {}

  private static Probe probe(long seed, Duration patience, String loops, String... options)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
    command.addAll(List.of(options));
    command.addAll(
        List.of(
            "-cp",
            System.getProperty("java.class.path"),
            AllocationProbe.class.getName(),
            Long.toString(seed),
            patience.toString(),
            loops));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    return new Probe(process.waitFor(), output);
  }
}
