package dev.lionstore.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.kernel.DeviceOptions.Memory;
import dev.lionstore.mapping.UserCache;
import dev.lionstore.rule.Lion;
import dev.lionstore.store.AutoBackend.Contender;
import dev.lionstore.store.AutoBackend.Verdict;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AutoBackendTest {
  private static final Contender CPU = new Contender("vector", Memory.AUTO, 2e9);

  @TempDir Path folder;

  @Test
  void aStreamingDeviceMustProveMoreThanOneInTheHostsMemory() {
    assertEquals("vector", best(new Contender("opencl:0", Memory.STREAMING, 2.2e9)));
    assertEquals("opencl:0", best(new Contender("opencl:0", Memory.STREAMING, 2.4e9)));
    assertEquals("opencl:0", best(new Contender("opencl:0", Memory.IN_PLACE, 2.1e9)));
    assertEquals("vector", best(new Contender("opencl:0", Memory.IN_PLACE, 1.9e9)));
  }

  private static String best(Contender device) {
    return new Verdict(List.of(CPU, device)).best().backend();
  }

  @Test
  void withoutDevicesOrForSmallStoresNothingIsMeasured() {
    AutoBackend auto = AutoBackend.of(Lion.RULE, new UserCache(folder.resolve("cache"), "t 1"));
    StoreOptions options = StoreOptions.defaults();
    for (long elements : new long[] {1, AutoBackend.LEAST_ELEMENTS}) {
      AutoBackend.Choice choice = auto.choose(folder.resolve("store"), elements, () -> 0, options);
      assertEquals(options, choice.options());
      assertEquals("", choice.reason());
    }
    assertEquals(Optional.empty(), auto.known(folder));
  }

  @Test
  void whatWasMeasuredIsKeptAndDamageCountsAsNothing() throws IOException {
    Path cached = folder.resolve("cache");
    AutoBackend auto = AutoBackend.of(Lion.RULE, new UserCache(cached, "t 1"));
    String measured = auto.measure(folder);
    assertTrue(measured.startsWith("auto is vector, measured: vector "), measured);
    assertEquals(Optional.of(measured), auto.known(folder));
    try (Stream<Path> left = Files.list(folder)) {
      assertEquals(List.of(cached), left.toList(), "what was made to measure is gone");
    }
    try (Stream<Path> files = Files.list(cached)) {
      for (Path file : files.toList()) {
        Files.writeString(file, Files.readString(file).replace("AUTO", "EVERYWHERE"));
      }
    }
    assertEquals(Optional.empty(), auto.known(folder));
  }
}
