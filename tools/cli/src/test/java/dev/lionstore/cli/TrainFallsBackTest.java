package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A run whose store is damaged goes on from its newest good snapshot, to the same bits. */
class TrainFallsBackTest {
  @TempDir private Path folder;
  private Path run;
  private Path store;
  private Path snapshots;
  private String hash;

  enum Damage {
    HEADER_CUT,
    HEADER_OVERWRITTEN,
    PLANE_GONE,
    PROGRESS_GONE,
    LAYOUT_GONE,
    LAYOUT_A_FOLDER,
    LAYOUT_CHANGED;

    void to(Path store) throws IOException {
      switch (this) {
        case HEADER_CUT -> cut(store.resolve("header"));
        case HEADER_OVERWRITTEN -> overwrite(store.resolve("header"), 0);
        case PLANE_GONE -> Files.delete(store.resolve("momentum.plane"));
        case PROGRESS_GONE -> Files.delete(store.resolve("progress"));
        case LAYOUT_GONE -> Files.delete(store.resolve("layout"));
        case LAYOUT_A_FOLDER -> {
          Files.delete(store.resolve("layout"));
          Files.createDirectory(store.resolve("layout"));
        }
        case LAYOUT_CHANGED -> overwrite(store.resolve("layout"), 60);
      }
    }
  }

  private static void cut(Path file) throws IOException {
    Files.write(file, Arrays.copyOf(Files.readAllBytes(file), 10));
  }

  private static void overwrite(Path file, int from) throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    Arrays.fill(bytes, from, bytes.length, (byte) 0x55);
    Files.write(file, bytes);
  }

  @BeforeEach
  void trainToTheEnd() throws IOException {
    run = folder.resolve("run");
    store = run.resolve("store");
    snapshots = run.resolve("snapshots");
    Files.writeString(folder.resolve("text"), "to be or not to be\n".repeat(200));
    Cli.result(train());
    hash = Cli.hash(store);
  }

  private Object[] train() {
    List<Object> words = new ArrayList<>(List.of("train", folder.resolve("text"), "--run", run));
    words.addAll(List.of("--steps", 4, "--warm-up", 0, "--snapshot-every", 2, "--sample", 4));
    words.addAll(List.of("--layers", 1, "--width", 32, "--heads", 2, "--feed-forward", 64));
    words.addAll(List.of("--context", 32, "--batch", 2));
    return words.toArray();
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    Files.delete(folder);
  }

  @ParameterizedTest
  @EnumSource
  void aDamagedStoreIsSetAsideAndTheNewestGoodSnapshotRestored(Damage damage) throws IOException {
    // The newest is damaged too.
    overwrite(snapshots.resolve("step-000000000004/model.safetensors"), 200);
    damage.to(store);
    Cli.Run again = Cli.run(train());
    assertEquals(0, again.exitCode(), again::toString);
    assertTrue(again.err().startsWith("lionstore: " + store), again::err);
    assertTrue(again.err().contains("step-000000000004/model.safetensors: "), again::err);
    assertTrue(again.err().contains("it was set aside as " + store + ".unusable-1"), again::err);
    assertTrue(again.err().contains("restored step 2 from " + snapshots), again::err);
    assertEquals(hash, Cli.hash(store));
    assertTrue(Files.exists(run.resolve("store.unusable-1")));
  }

  @Test
  void aRunThatKeepsSomeSnapshotsRemovesTheOlderOnesAndKeepsVerifiedOnes() throws IOException {
    Path kept = folder.resolve("kept");
    List<Object> words = new ArrayList<>(Arrays.asList(train()));
    words.set(words.indexOf(run), kept);
    words.set(words.indexOf("--snapshot-every") + 1, 1);
    words.addAll(List.of("--keep", 2, "--snapshot-memory", "24MiB"));
    Cli.result(words.toArray());
    try (Stream<Path> left = Files.list(kept.resolve("snapshots"))) {
      assertEquals(
          List.of(
              ".step-000000000003.verified",
              ".step-000000000004.verified",
              "step-000000000003",
              "step-000000000004"),
          left.map(path -> path.getFileName().toString()).sorted().toList());
    }
    assertEquals(hash, Cli.hash(kept.resolve("snapshots/step-000000000004")));
  }

  @Test
  void withoutASnapshotADamagedStoreStaysAndTheErrorSaysWhatToDo() throws IOException {
    delete(snapshots.resolve("step-000000000002"));
    delete(snapshots.resolve("step-000000000004"));
    cut(store.resolve("header"));
    List<String> tree = Example.tree(run);
    String line = Cli.refusal(train());
    assertTrue(line.startsWith(store.resolve("header") + ": size is 10 bytes"), line);
    assertTrue(
        line.endsWith(
            "; there is no snapshot in "
                + snapshots
                + " to go on from; to begin anew, move "
                + store
                + " away or choose another --run"),
        line);
    assertEquals(tree, Example.tree(run));
  }

  @Test
  void withDamagedSnapshotsAloneNothingIsBegunAnew() throws IOException {
    overwrite(snapshots.resolve("step-000000000002/model.safetensors"), 200);
    overwrite(snapshots.resolve("step-000000000004/model.safetensors"), 200);
    cut(store.resolve("header"));
    List<String> tree = Example.tree(run);
    Cli.Run again = Cli.run(train());
    assertEquals(1, again.exitCode(), again::toString);
    assertTrue(
        again
            .err()
            .strip()
            .endsWith(
                snapshots
                    + ": no snapshot is good, and there is no store to go on from; to begin anew,"
                    + " choose another --run"),
        again::err);
    assertEquals(tree, Example.tree(run));
  }

  /** The newest is of the same run, so that nothing else tells that it is only a part. */
  @Test
  void aRunWithSnapshotsOfDifferentTensorsIsNotResumed() throws IOException {
    Path newest = snapshots.resolve("step-000000000004");
    String part = Cli.result("snapshot", newest, folder.resolve("part"), "--match", "(?!lm_).*");
    delete(newest);
    Files.move(Path.of(part), newest);
    delete(store);
    List<String> tree = Example.tree(run);
    assertEquals(
        snapshots
            + ": holds snapshots of different tensors: compared with step-000000000004,"
            + " step-000000000002 also has 'lm_head.weight'; move those that are"
            + " not the run's away, or choose another --run",
        Cli.refusal(train()));
    assertEquals(tree, Example.tree(run));
  }

  @Test
  void aStoreOfANewerVersionIsNotSetAside() throws IOException {
    byte[] layout = Files.readAllBytes(store.resolve("layout"));
    layout[11] = 7;
    Files.write(store.resolve("layout"), layout);
    assertEquals(
        store.resolve("layout") + ": version is 7, expected 1 or 2; use a newer Lionstore",
        Cli.refusal(train()));
    assertFalse(Files.exists(run.resolve("store.unusable-1")));
  }

  @Test
  void aPointerThatCannotBeWrittenStopsNoRunAndIsSaidOnce() throws IOException {
    Path pointer = run.resolve("store.snapshot");
    Files.writeString(pointer, "mine");
    delete(snapshots.resolve("step-000000000002"));
    delete(snapshots.resolve("step-000000000004"));
    delete(store);
    Cli.Run again = Cli.run(train());
    assertEquals(0, again.exitCode(), again::toString);
    String said = pointer + ": is not a pointer to a snapshot";
    assertEquals(1, again.err().lines().filter(line -> line.contains(said)).count(), again::err);
    assertEquals("mine", Files.readString(pointer));
    assertEquals(hash, Cli.hash(store));
  }

  @Test
  void anEmptiedTextIsDamageAndNoWrongUsage() throws IOException {
    Path text = run.resolve("text.bin");
    Files.write(text, new byte[0], StandardOpenOption.TRUNCATE_EXISTING);
    Object[] unnamed =
        Arrays.stream(train()).filter(w -> !w.equals(folder.resolve("text"))).toArray();
    for (Object[] words : List.of(train(), unnamed)) {
      Cli.Run again = Cli.run(words);
      assertEquals(1, again.exitCode(), again::toString);
      assertEquals(
          text
              + ": is empty, so it is damaged; remove it and name the text that the run began with,"
              + " or choose another --run",
          Cli.requireRefusal(again));
    }
    Files.delete(text);
    Cli.result(train());
    assertEquals(hash, Cli.hash(store));
  }
}
