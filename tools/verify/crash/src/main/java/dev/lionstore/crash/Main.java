package dev.lionstore.crash;

import dev.lionstore.crash.harness.BrokenPromise;
import dev.lionstore.crash.harness.Counts;
import dev.lionstore.crash.kill.Campaign;
import dev.lionstore.crash.kill.RecoveryTime;
import dev.lionstore.crash.powerloss.PowerLossCommand;
import dev.lionstore.crash.probe.Fault;
import java.io.IOException;
import java.nio.file.FileSystemException;
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
    subcommands = PowerLossCommand.class,
    description = {
      "Kills writers of a store with SIGKILL, at every kind of point of the protocol and at random"
          + " times, and compares what is left with a run that nobody killed.",
      "Exit code 0: nothing was lost. 1: something was.",
      "--recovery-time kills the writer of one large store in the middle of a step instead, and"
          + " measures how long the next process takes to open it. Exit code 1: longer than allowed."
    })
public final class Main implements Callable<Integer> {
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

  @Option(
      names = "--recovery-time",
      paramLabel = "PARAMETERS",
      description = "of that store, 8 bytes each, for instance 2000000000")
  private Optional<Long> recoveryTime = Optional.empty();

  @Option(
      names = "--directory",
      defaultValue = "/dev/shm",
      description = "where it is made and removed again (default: /dev/shm)")
  private Path directory = Path.of("/dev/shm");

  private Main() {}

  /** Runs the command line. */
  public static void main(String[] arguments) {
    System.exit(new CommandLine(new Main()).execute(arguments));
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    return recoveryTime.isPresent() ? measure(recoveryTime.get()) : kill();
  }

  private int measure(long parameters) throws IOException, InterruptedException {
    try {
      RecoveryTime time = RecoveryTime.measure(parameters, directory);
      System.out.println((time.isAllowed() ? "" : "TOO LONG: ") + time);
      return time.isAllowed() ? 0 : 1;
    } catch (FileSystemException e) {
      System.err.println("crash-test: " + e.getMessage());
      return 1;
    }
  }

  private int kill() throws IOException, InterruptedException {
    long begin = System.nanoTime();
    int rounds = Math.ceilDiv(kills, KILLS_PER_ROUND);
    int killsPerRound = Math.ceilDiv(kills, rounds);
    try {
      Counts tally =
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
