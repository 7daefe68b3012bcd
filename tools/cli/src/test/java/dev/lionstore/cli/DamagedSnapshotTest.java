package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Damage anywhere in a snapshot: refused by whoever reads it, and the one before it is offered. */
class DamagedSnapshotTest {
  private static final long SEED = System.nanoTime();

  @TempDir Path folder;
  private Path before = Path.of("");
  private Path snapshot = Path.of("");

  @BeforeEach
  void takeTwoSnapshotsOfShards() throws IOException {
    Example example = Example.in(folder);
    before = snapshot(example);
    Cli.result("step", example.store(), "--gradients", example.gradients(), "--lr", "0.01");
    snapshot = snapshot(example);
  }

  private Path snapshot(Example example) {
    return Path.of(
        Cli.result(
            "snapshot", example.store(), folder.resolve("snapshots"), "--max-shard-size", "16"));
  }

  @Test
  void aFlippedBitInAnyFileIsRefusedAndTheSnapshotBeforeIsOffered() throws IOException {
    SplittableRandom random = new SplittableRandom(SEED);
    for (Path file : files()) {
      byte[] whole = Files.readAllBytes(file);
      byte[] flipped = whole.clone();
      int index = random.nextInt(whole.length);
      flipped[index] ^= (byte) (1 << random.nextInt(Byte.SIZE));
      Files.write(file, flipped);
      assertRefused(file, "byte " + index + ", seed " + SEED);
      Files.write(file, whole);
    }
    assertEquals(snapshot + ": step 2, good", Cli.result("verify", snapshot));
  }

  @Test
  void aMissingOrShortFileIsRefusedAndTheSnapshotBeforeIsOffered() throws IOException {
    for (Path file : files()) {
      byte[] whole = Files.readAllBytes(file);
      Files.write(file, Arrays.copyOf(whole, whole.length - 1));
      assertRefused(file, "short");
      Files.delete(file);
      assertRefused(file, "missing");
      Files.write(file, whole);
    }
  }

  /** The word by which a manifest is known. */
  @Test
  void aManifestThatCallsItselfOtherwiseMakesNoMereModelOfIt() throws IOException {
    Path manifest = snapshot.resolve("manifest.json");
    String text = Files.readString(manifest);
    for (String other : List.of("mionstore-snapshot", "lionstore snapshot", "")) {
      String changed = text.replace("lionstore-snapshot", other);
      Files.write(manifest, changed.getBytes(StandardCharsets.UTF_8));
      assertRefused(manifest, other);
    }
  }

  private List<Path> files() throws IOException {
    List<Path> files;
    try (Stream<Path> entries = Files.list(snapshot)) {
      files = entries.sorted().toList();
    }
    assertTrue(files.size() > 6, files::toString);
    return files;
  }

  private void assertRefused(Path file, String what) {
    Path made = folder.resolve("made");
    for (Object[] command :
        new Object[][] {
          {"verify", snapshot},
          {"hash", snapshot},
          {"restore", snapshot, made},
          {"export", snapshot, made},
          {"snapshot", snapshot, made}
        }) {
      Cli.Run run = Cli.run(command);
      String words = Arrays.toString(command) + " " + file.getFileName() + " " + what;
      assertEquals(1, run.exitCode(), () -> words + run);
      String line = Cli.requireRefusal(run);
      assertTrue(line.contains(file.getFileName().toString()), () -> words + ": " + line);
      assertTrue(line.endsWith("; the snapshot before it is " + before), () -> words + line);
      assertFalse(Files.exists(made), words);
    }
  }
}
