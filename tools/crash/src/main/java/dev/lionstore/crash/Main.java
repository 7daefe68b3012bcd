package dev.lionstore.crash;

import dev.lionstore.store.Fault;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code tools/bin/crash-test}. */
@Command(
    name = "crash-test",
    mixinStandardHelpOptions = true,
    description = {
      "Kills writers of a store with SIGKILL, at every kind of point of the protocol and at random"
          + " times, and compares what is left with a run that nobody killed.",
      "Exit code 0: nothing was lost. 1: something was."
    })
final class Main implements Callable<Integer> {
  private static final int KILLS_PER_ROUND = 50;

  @Option(names = "--kills", defaultValue = "300", description = "how many (default: 300)")
  private int kills;

  @Option(names = "--seed", defaultValue = "1", description = "of the first store (default: 1)")
  private long seed;

  @Option(names = "--jobs", description = "stores at a time (default: one per core)")
  private int jobs = Runtime.getRuntime().availableProcessors();

  @Option(
      names = "--progress",
      description = "a file in which finished rounds are noted, and not repeated")
  private Optional<Path> progress = Optional.empty();

  @Option(
      names = "--fault",
      defaultValue = "NONE",
      description = "break a rule of the protocol on purpose: ${COMPLETION-CANDIDATES}")
  private Fault fault = Fault.NONE;

  private Main() {}

  /** Runs the command line. */
  public static void main(String[] arguments) {
    System.exit(new CommandLine(new Main()).execute(arguments));
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    long begin = System.nanoTime();
    int rounds = Math.ceilDiv(kills, KILLS_PER_ROUND);
    int killsPerRound = Math.ceilDiv(kills, rounds);
    try {
      Tally tally =
          new Campaign(seed, rounds, killsPerRound, jobs, fault, progress)
              .run(line -> System.err.println("crash-test: " + line));
      System.out.println(
          "nothing lost: "
              + tally
              + " seed="
              + seed
              + " seconds="
              + (System.nanoTime() - begin) / 1_000_000_000L);
      return 0;
    } catch (BrokenPromise e) {
      System.out.println("LOST: " + e.getMessage());
      return 1;
    }
  }
}
