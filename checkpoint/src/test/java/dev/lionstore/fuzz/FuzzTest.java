package dev.lionstore.fuzz;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Looks for bytes that break the readers of other people's files, guided by what the code does with
 * them: 5 seconds for each, or as long as {@code tools/bin/fuzz} is told to.
 */
class FuzzTest {
  private static final long SECONDS = Long.getLong("fuzz.seconds", 5);
  private static final Pattern DONE = Pattern.compile("Done (\\d+) runs in (\\d+) second.*");

  /** No more would not be fuzzing. One slow core does four times as many in a second. */
  private static final long TOO_FEW_RUNS = 100 * SECONDS;

  /** How much longer it may take where others use the cores, and the JVM is hardly compiled. */
  private static final long PATIENCE = 12;

  @ParameterizedTest
  @MethodSource("dev.lionstore.fuzz.Target#all")
  void everySeedIsUnderstoodOrRefused(Target target) throws IOException {
    for (byte[] seed : target.seeds()) {
      target.input().read(seed);
    }
  }

  @ParameterizedTest
  @MethodSource("dev.lionstore.fuzz.Target#all")
  void noInputBreaksTheReader(Target target) throws IOException, InterruptedException {
    long runs = fuzz(target, SECONDS);
    if (runs <= TOO_FEW_RUNS) {
      runs = fuzz(target, PATIENCE * SECONDS);
    }
    assertTrue(runs > TOO_FEW_RUNS, runs + " runs, expected more than " + TOO_FEW_RUNS);
  }

  /** How many runs there were; none of them found anything. */
  private static long fuzz(Target target, long seconds) throws IOException, InterruptedException {
    Jazzer jazzer = new Jazzer(target);
    int exitCode = jazzer.run(seconds);
    List<String> lines = jazzer.lines();
    assertEquals(0, exitCode, () -> "a finding:\n" + withoutChatter(lines));
    long runs = 0;
    for (String line : lines) {
      Matcher done = DONE.matcher(line);
      if (done.matches()) {
        runs = Long.parseLong(done.group(1));
      }
    }
    String coverage = lines.stream().filter(l -> l.contains(" cov: ")).toList().getLast();
    System.out.println(target + ": no finding in " + runs + " runs; " + coverage.strip());
    return runs;
  }

  private static String withoutChatter(List<String> lines) {
    return lines.stream()
        .filter(line -> !line.startsWith("INFO: ") && !line.startsWith("#"))
        .collect(Collectors.joining("\n"));
  }
}
