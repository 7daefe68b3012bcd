package dev.lionstore.measure.disk;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.GradientPlane;
import dev.lionstore.checkpoint.ContentHash;
import dev.lionstore.measure.Ended;
import dev.lionstore.measure.workload.BenchmarkStore;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class DiskStepBenchmarkTest {
  /** On the disk that the tests run from: temporary files may be in memory. */
  private interface Use {
    void of(Path store) throws IOException, InterruptedException;
  }

  private static void withStore(Use use) throws IOException, InterruptedException {
    Path parent = Files.createDirectories(Path.of("target"));
    Path folder = Files.createTempDirectory(parent, "disk-step-");
    try {
      Path store = folder.resolve("store");
      BenchmarkStore.build(store, 3_000_001, GradientPlane.BF16);
      use.of(store);
    } finally {
      BenchmarkStore.delete(folder);
    }
  }

  @Test
  void aStepStandsBesidePassesThatMoveTheSameBytes() throws IOException, InterruptedException {
    withStore(store -> {
      String before = hash(store);
      Ended ended =
          Ended.of("disk-step", "--store", store.toString(), "--steps", "2", "--access", "direct");
      assertEquals("", ended.err());
      assertEquals(0, ended.exitCode());
      List<String> rows =
          ended.out().lines().filter(line -> line.matches("\\| (disk|step).*")).toList();
      assertEquals(3, rows.size(), ended::out);
      assertTrue(ended.out().contains("past the page cache"), ended::out);
      assertTrue(ended.out().contains("at step 2;"), ended::out);
      assertNotEquals(before, hash(store));
    });
  }

  @Test
  void passesOfTheDiskChangeNothing() throws IOException, InterruptedException {
    withStore(store -> {
      String before = hash(store);
      List<Path> state = planes(store, "gradient", false);
      try (MixedDisk disk = new MixedDisk(state, planes(store, "gradient", true))) {
        disk.pass(3);
      }
      assertEquals(3, state.size());
      assertEquals(before, hash(store));
    });
  }

  @Test
  void aMissingStoreIsWrongUsage() {
    Ended ended = Ended.of("disk-step", "--steps", "2");
    assertEquals(2, ended.exitCode());
    assertTrue(ended.err().contains("'--store=STORE'"), ended::err);
  }

  private static List<Path> planes(Path store, String name, boolean named) throws IOException {
    try (Stream<Path> files = Files.list(store)) {
      return files
          .filter(file -> file.toString().endsWith(".plane"))
          .filter(file -> file.getFileName().toString().startsWith(name) == named)
          .toList();
    }
  }

  private static String hash(Path store) throws IOException {
    try (StoreReader reader = StoreReader.open(store)) {
      return ContentHash.of(reader, _ -> {});
    }
  }
}
