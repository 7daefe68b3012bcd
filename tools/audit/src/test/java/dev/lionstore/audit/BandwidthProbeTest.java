package dev.lionstore.audit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.FileSystemException;
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
  void aFolderWhereNothingCanBeMadeIsNamed() {
    Path nowhere = Path.of("/proc");
    FileSystemException refused =
        assertThrows(FileSystemException.class, () -> BandwidthProbe.disk(nowhere, 16 << 20));
    assertTrue(String.valueOf(refused.getMessage()).startsWith("/proc: no file can be made"));
  }

  @Test
  void memoryIsFasterThanAnyDiskIsSlow() throws IOException {
    assertTrue(BandwidthProbe.memory() > 100 * SLOWEST);
  }
}
