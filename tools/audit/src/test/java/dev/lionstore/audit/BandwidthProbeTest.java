package dev.lionstore.audit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class BandwidthProbeTest {
  private static final double SLOWEST = 1e6;

  @Test
  void aDiskIsMeasuredAndLeftAsItWas() throws IOException {
    Path folder = Files.createTempDirectory(Files.createDirectories(Path.of("target")), "probe-");
    double[] found = BandwidthProbe.disk(folder, 16 << 20);
    assertTrue(found[0] > SLOWEST && found[1] > SLOWEST);
    try (Stream<Path> left = Files.list(folder)) {
      assertEquals(0, left.count());
    }
    Files.delete(folder);
  }

  @Test
  void memoryIsFasterThanAnyDiskIsSlow() throws IOException {
    assertTrue(BandwidthProbe.memory() > 100 * SLOWEST);
  }
}
