package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A run that is killed again and again ends as one that never was: bit for bit, each step once. */
class TrainSurvivesKillsTest {
  private static final int STEPS = 120;

  /**
   * Kills by the clock, while the JVM, libtorch and the run start; those that follow go by steps.
   */
  private static final int KILLS_AT_START = 2;

  private static final int KILLS = 3;

  @TempDir private Path folder;

  @ParameterizedTest
  @ValueSource(strings = {"f32", "none"})
  void endsWithTheHashOfAnUninterruptedRun(String gradientPlane) throws Exception {
    long seed = Long.getLong("lionstore.seed", System.nanoTime());
    System.out.println("TrainSurvivesKillsTest: -Dlionstore.seed=" + seed);
    SplittableRandom random = new SplittableRandom(seed);
    Path text = text(random);

    Path whole = folder.resolve("whole");
    long begin = System.nanoTime();
    assertEquals(0, train(text, whole, gradientPlane).waitFor(), () -> err(whole));
    long milliseconds = (System.nanoTime() - begin) / 1_000_000;

    Path killed = folder.resolve("killed");
    for (int kill = 0; kill < KILLS; kill++) {
      Process run = train(text, killed, gradientPlane);
      if (kill < KILLS_AT_START) {
        run.waitFor(random.nextLong(1, milliseconds / 4), TimeUnit.MILLISECONDS);
      } else {
        awaitSteps(killed, run, steps(killed).size() + random.nextInt(1, STEPS / KILLS));
        run.waitFor(random.nextLong(20_000_000), TimeUnit.NANOSECONDS);
      }
      assertTrue(run.isAlive(), () -> err(killed));
      run.destroyForcibly().waitFor();
    }
    // Without a gradient plane, a kill inside a step leaves a store that is set aside.
    boolean torn =
        Cli.result("inspect", killed.resolve("store")).contains("state        damaged: ");
    assertEquals(0, train(text, killed, gradientPlane).waitFor(), () -> err(killed));

    assertEquals(Cli.hash(whole.resolve("store")), Cli.hash(killed.resolve("store")));
    assertEquals(steps(whole), steps(killed));
    // After the last step a row evaluates.
    assertEquals(LongStream.rangeClosed(0, STEPS).boxed().toList(), steps(killed));
    String err = err(killed);
    // Without a gradient plane, every kill may have torn the store before its first snapshot.
    boolean setAside = err.contains("it was set aside as ");
    assertTrue(setAside || err.contains("lionstore: going on at step "), err);
    assertTrue(gradientPlane.equals("none") || !setAside, err);
    assertTrue(err.lines().allMatch(line -> line.matches("(lionstore: |step \\d+ of).*")), err);
    assertTrue(setAside || !torn, err);
  }

  @Test
  void setsATornStoreAsideAndGoesOnFromTheNewestSnapshot() throws Exception {
    Path text = text(new SplittableRandom(1));
    Path run = folder.resolve("run");
    assertEquals(0, train(text, run, "none").waitFor(), () -> err(run));
    String hash = Cli.hash(run.resolve("store"));
    deleteTree(run.resolve("snapshots/step-000000000120"));
    HeaderPatch.beginStep(run.resolve("store"), HeaderPatch.dead(), 2);
    assertEquals(0, train(text, run, "none").waitFor(), () -> err(run));
    String err = err(run);
    assertTrue(err.contains("it was set aside as "), err);
    assertTrue(err.contains("lionstore: restored step 115 from "), err);
    assertEquals(hash, Cli.hash(run.resolve("store")));
    assertEquals(LongStream.rangeClosed(0, STEPS).boxed().toList(), steps(run));
  }

  private static void deleteTree(Path directory) throws IOException {
    try (Stream<Path> tree = Files.walk(directory)) {
      for (Path path : tree.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }

  private Process train(Path text, Path run, String gradientPlane) throws IOException {
    Path out = folder.resolve(run.getFileName() + ".out");
    List<Object> words =
        new ArrayList<>(
            List.of(
                "train", text, "--run", run, "--steps", STEPS, "--gradient-plane", gradientPlane));
    words.addAll(List.of("--layers", 1, "--width", 32, "--heads", 2, "--feed-forward", 64));
    words.addAll(List.of("--context", 32, "--batch", 4, "--snapshot-every", 23, "--sample", 16));
    return Processes.start(out, errFile(run), Main.class, words.toArray());
  }

  /** Waits until the table of losses has so many rows. */
  private static void awaitSteps(Path run, Process process, int count) throws Exception {
    while (process.isAlive() && steps(run).size() < count) {
      Thread.sleep(2);
    }
  }

  private static Path errFile(Path run) {
    return run.resolveSibling(run.getFileName() + ".err");
  }

  private static String err(Path run) {
    try {
      return Files.readString(errFile(run));
    } catch (IOException e) {
      return e.toString();
    }
  }

  private Path text(SplittableRandom random) throws IOException {
    StringBuilder text = new StringBuilder();
    while (text.length() < 20_000) {
      text.append("ein zwei drei vier ".substring(0, 5 + random.nextInt(14))).append('\n');
    }
    return Files.writeString(folder.resolve("text"), text);
  }

  /** The steps in the table of losses, as they stand there; a row that is being written is none. */
  private static List<Long> steps(Path run) throws IOException {
    Path table = run.resolve("loss.csv");
    String text = Files.exists(table) ? Files.readString(table) : "";
    return text.substring(0, text.lastIndexOf('\n') + 1)
        .lines()
        .skip(1)
        .map(line -> Long.valueOf(line.substring(0, line.indexOf(','))))
        .toList();
  }
}
