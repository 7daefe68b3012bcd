package dev.lionstore.tuning;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.backend.BackendRanking;
import dev.lionstore.backend.BackendRankings;
import dev.lionstore.backend.RankedBackend;
import dev.lionstore.kernel.DeviceOptions.Memory;
import dev.lionstore.os.UserCache;
import dev.lionstore.rule.UpdateRules;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BackendMeasurementTest {
  private static final RankedBackend CPU = new RankedBackend("vector", Memory.AUTO, 2e9);

  @TempDir Path folder;

  @Test
  void aStreamingDeviceMustProveMoreThanOneInTheHostsMemory() {
    assertEquals("vector", best(new RankedBackend("opencl:0", Memory.STREAMING, 2.2e9)));
    assertEquals("opencl:0", best(new RankedBackend("opencl:0", Memory.STREAMING, 2.4e9)));
    assertEquals("opencl:0", best(new RankedBackend("opencl:0", Memory.IN_PLACE, 2.1e9)));
    assertEquals("vector", best(new RankedBackend("opencl:0", Memory.IN_PLACE, 1.9e9)));
  }

  private static String best(RankedBackend device) {
    return new BackendRanking(List.of(CPU, device)).best().backend();
  }

  @Test
  void whatWasMeasuredIsKeptAndDamageCountsAsNothing() throws IOException {
    Path cached = folder.resolve("cache");
    BackendRankings rankings = BackendRankings.of(UpdateRules.LION, new UserCache(cached, "t 1"));
    assertEquals(Optional.empty(), rankings.find(folder));
    String measured = BackendMeasurement.run(rankings, folder).toString();
    assertTrue(measured.startsWith("auto is vector, measured: vector "), measured);
    assertEquals(Optional.of(measured), rankings.find(folder).map(BackendRanking::toString));
    try (Stream<Path> left = Files.list(folder)) {
      assertEquals(List.of(cached), left.toList(), "what was made to measure is gone");
    }
    try (Stream<Path> files = Files.list(cached)) {
      for (Path file : files.toList()) {
        Files.writeString(file, Files.readString(file).replace("AUTO", "EVERYWHERE"));
      }
    }
    assertEquals(Optional.empty(), rankings.find(folder));
  }
}
