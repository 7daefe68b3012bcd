package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.stream.LongStream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A run that is killed again and again ends as one that never was: bit for bit, each step once. */
class TrainSurvivesKillsTest {
  private static final int STEPS = 200;

  /** Kills while the JVM starts come first, then one anywhere up to the end of a whole run. */
  private static final int KILLS_AT_START = 2;

  private static final int KILLS = 5;

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
    int kills = 0;
    while (kills < KILLS) {
      Process run = train(text, killed, gradientPlane);
      long latest = kills < KILLS_AT_START ? milliseconds / 4 : milliseconds;
      if (run.waitFor(kills == KILLS - 1 ? milliseconds * 3 / 4 : random.nextLong(1, latest), TimeUnit.MILLISECONDS)) {
        assertEquals(0, run.exitValue(), () -> err(killed));
        break; // it came to its end before it could be killed
      }
      run.destroyForcibly();
      run.waitFor();
      kills++;
      if (kills == KILLS && gradientPlane.equals("none")) {
        HeaderPatch.beginStep(killed.resolve("store"), HeaderPatch.dead());
      }
    }
    assertEquals(0, train(text, killed, gradientPlane).waitFor(), () -> err(killed));

    assertTrue(kills > KILLS_AT_START, "killed " + kills + " times");
    assertEquals(Cli.hash(whole.resolve("store")), Cli.hash(killed.resolve("store")));
    assertEquals(steps(whole), steps(killed));
    assertEquals(LongStream.range(0, STEPS).boxed().toList(), steps(killed));
    String err = err(killed);
    assertTrue(err.contains("lionstore: going on at step "), err);
    assertTrue(err.lines().allMatch(line -> line.matches("(lionstore: |step \\d+ of).*")), err);
    if (gradientPlane.equals("none") && kills == KILLS) {
      assertTrue(err.contains("it was set aside as "), err);
      assertTrue(err.contains("lionstore: restored step "), err);
    }
  }

  private Process train(Path text, Path run, String gradientPlane) throws IOException {
    Path out = folder.resolve(run.getFileName() + ".out");
    List<Object> words =
        new ArrayList<>(
            List.of("train", text, "--run", run, "--steps", STEPS, "--gradient-plane", gradientPlane));
    words.addAll(List.of("--layers", 1, "--width", 32, "--heads", 2, "--feed-forward", 64));
    words.addAll(List.of("--context", 32, "--batch", 4, "--snapshot-every", 37, "--sample", 16));
    return Processes.start(out, errFile(run), Main.class, words.toArray());
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

  /** The steps in the table of losses, as they stand there. */
  private static List<Long> steps(Path run) throws IOException {
    return Files.readAllLines(run.resolve("loss.csv")).stream()
        .skip(1)
        .map(line -> Long.valueOf(line.split(",")[0]))
        .toList();
  }
}
