package dev.lionstore.trainer;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class NativeMemoryTest {
  /** Prints by how many KiB the process has grown over a thousand steps, after some others. */
  static final class Probe {
    public static void main(String[] arguments) throws IOException {
      try (Arena arena = Arena.ofShared()) {
        TinyModel tiny = TinyModel.create(arena);
        try (Transformer model = tiny.open(2)) {
          runSteps(model, tiny, 300);
          long before = residentKibibytes();
          runSteps(model, tiny, 1_000);
          System.out.println(residentKibibytes() - before);
        }
      }
    }
  }

  @Test
  void aThousandStepsLeaveNoMemoryBehind() throws Exception {
    // Without the garbage collector's help, which would only delay a leak's discovery.
    ChildJvm explicit = new ChildJvm(List.of("-Dorg.bytedeco.javacpp.nopointergc=true"), Map.of());
    long grown = Long.parseLong(explicit.run(Probe.class));
    // A leak of the gradients alone would be 48 MiB, of the graph a multiple of that.
    assertTrue(grown < 12 * 1024, "resident memory grew by " + grown + " KiB");
  }

  private static void runSteps(Transformer model, TinyModel tiny, int steps) {
    for (int step = 0; step < steps; step++) {
      model.gradients(tiny.batch(step, 8)).close();
      if (step % 10 == 0) {
        model.bitsPerByte(tiny.batch(step, 8));
        model.nextByteScores(new byte[3]);
      }
    }
  }

  private static long residentKibibytes() throws IOException {
    return Files.readAllLines(Path.of("/proc/self/status")).stream()
        .filter(line -> line.startsWith("VmRSS:"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")))
        .findFirst()
        .orElseThrow();
  }
}
