package dev.lionstore.opencl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.kernel.DeviceOptions.Memory;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StoreBuilder;
import dev.lionstore.store.StoreOptions;
import dev.lionstore.store.StoresWithKernel;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Processes killed with SIGKILL while PoCL's threads are in the middle of chunks: the CPU finishes
 * what the device's stores have left.
 */
class DeviceKillTest {
  private static final StoreOptions VECTOR = StoreOptions.defaults().withBackend("vector");

  /** Whole chunks: what a word counts between steps is then no part of one. */
  private static final long COUNT = 256 * StoreBuilder.DEFAULT_CHUNK_ELEMENTS;

  /** Some kills come too late: in a chunk, or at all. */
  private static final int MOST_KILLS = 40;

  private static final int ENOUGH_KILLS_IN_CHUNKS = 2;
  private static final int ENOUGH_STREAMING_KILLS = 3;

  /** From the first chunk in hand to the kill: a step takes some milliseconds. */
  private static final long MOST_NANOSECONDS = 500_000;

  @TempDir Path folder;

  private final List<Long> expected = new ArrayList<>();
  private int killsInChunks;

  @ParameterizedTest
  @CsvSource({"IN_PLACE, lion", "STREAMING, lion", "IN_PLACE, adamw-8bit"})
  void aProcessKilledInItsKernelsLosesNothing(Memory memory, String rule)
      throws IOException, InterruptedException {
    assertEquals(0, differences(memory, KernelSource.of(UpdateRules.required(rule))));
    // Chunks that are saved whole are never counted in part.
    assertEquals(memory == Memory.IN_PLACE ? ENOUGH_KILLS_IN_CHUNKS : 0, killsInChunks);
  }

  @ParameterizedTest
  @ValueSource(strings = {"lion", "adamw-8bit"})
  void aKernelThatSavesNothingIsNoticed(String rule) throws IOException, InterruptedException {
    KernelSource source = KernelSource.of(UpdateRules.required(rule));
    String mutated = KernelText.nothingSaved(source.text());
    assertNotEquals(source.text(), mutated);
    assertTrue(differences(Memory.IN_PLACE, source.withText(mutated)) > 0);
  }

  /** Kills until something differs, or often enough; returns how often it did. */
  private int differences(Memory memory, KernelSource source)
      throws IOException, InterruptedException {
    Path directory = folder.resolve("store");
    TestStores.create(directory, source.rule(), COUNT);
    SplittableRandom random = new SplittableRandom(COUNT);
    int enough = memory == Memory.IN_PLACE ? MOST_KILLS : ENOUGH_STREAMING_KILLS;
    int differences = 0;
    for (int kill = 0;
        kill < enough && differences == 0 && killsInChunks < ENOUGH_KILLS_IN_CHUNKS;
        kill++) {
      kill(directory, memory, source, random.nextLong(MOST_NANOSECONDS));
      killsInChunks += StoresWithKernel.chunksInHand(directory) > 0 ? 1 : 0;
      try (StateStore store = StateStore.open(directory, VECTOR)) {
        long found = TestStores.checksum(store);
        differences += found == expected(source.rule(), store.step()) ? 0 : 1;
      }
    }
    return differences;
  }

  private static void kill(Path directory, Memory memory, KernelSource source, long nanoseconds)
      throws IOException, InterruptedException {
    Path text = Files.writeString(directory.resolveSibling("kernel.cl"), source.text());
    Path log = directory.resolveSibling("killed.log");
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home", ""), "bin", "java").toString(),
                "@" + System.getProperty("lionstore.root", "") + "/tools/bin/jvm.options",
                "--add-modules=jdk.incubator.vector",
                "-Xmx256m",
                "-cp",
                System.getProperty("java.class.path", ""),
                KilledMain.class.getName(),
                directory.toString(),
                memory.name(),
                text.toString(),
                source.rule().name())
            .redirectError(log.toFile())
            .start();
    try (BufferedReader lines = process.inputReader()) {
      String said = lines.readLine();
      assertEquals(KilledMain.STEPPED, said, Files.readString(log));
      if (memory == Memory.IN_PLACE) {
        StoresWithKernel.awaitChunkInHand(directory);
      }
      TimeUnit.NANOSECONDS.sleep(nanoseconds);
    } finally {
      process.destroyForcibly().waitFor();
    }
  }

  private long expected(UpdateRule rule, long step) throws IOException {
    Path directory = folder.resolve("expected");
    if (expected.isEmpty()) {
      TestStores.create(directory, rule, COUNT);
      expected.add(0L);
    }
    try (StateStore store = StateStore.open(directory, VECTOR)) {
      while (store.step() < step) {
        TestStores.step(store);
        expected.add(TestStores.checksum(store));
      }
    }
    return expected.get((int) step);
  }
}
