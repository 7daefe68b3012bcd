package dev.lionstore.crash.kill;

import dev.lionstore.crash.harness.BrokenPromise;
import dev.lionstore.crash.harness.Counts;
import dev.lionstore.crash.harness.ScratchFolder;
import dev.lionstore.crash.probe.Fault;
import dev.lionstore.crash.probe.ProbedStores;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;

/**
 * Many rounds, several at a time. Which rounds are done stands in a file, one line each, so that
 * ten thousand kills can be spread over hours.
 *
 * @param seed of the first round; each has its own
 * @param rounds how many stores
 * @param killsPerRound how often each one's writer is killed
 * @param jobs rounds at a time
 * @param fault that is planted
 * @param progress the file that says which rounds are done, if there is one
 */
public record Campaign(
    long seed, int rounds, int killsPerRound, int jobs, Fault fault, Optional<Path> progress) {

  /**
   * Runs the rounds that are not done yet.
   *
   * @param report gets a line after each round
   * @return everything that was done, now and before
   * @throws BrokenPromise if what was left after a kill is not what the store promises
   */
  public Counts run(Consumer<String> report) throws IOException, InterruptedException {
    Counts sum = new Counts();
    Set<Long> done = readProgress(sum);
    AtomicBoolean broken = new AtomicBoolean();
    try (ScratchFolder scratch = new ScratchFolder();
        ExecutorService pool = Executors.newFixedThreadPool(jobs)) {
      WorkerJvm jvm = new WorkerJvm(scratch.folder());
      warmUp(jvm, scratch);
      List<Future<?>> running = new ArrayList<>();
      for (int i = 0; i < rounds; i++) {
        long round = seed + i;
        if (!done.contains(round)) {
          running.add(
              pool.submit(() -> {
                if (!broken.get()) {
                  try {
                    note(round, round(jvm, round, scratch), sum, report);
                  } catch (BrokenPromise | IOException e) {
                    broken.set(true);
                    throw e;
                  }
                }
                return null;
              }));
        }
      }
      for (Future<?> round : running) {
        await(round);
      }
    }
    return sum;
  }

  private static void await(Future<?> round) throws IOException, InterruptedException {
    try {
      round.get();
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case BrokenPromise broken -> throw broken;
        case IOException failure -> throw failure;
        case null, default -> throw new IllegalStateException(e);
      }
    }
  }

  private static void warmUp(WorkerJvm jvm, ScratchFolder scratch)
      throws IOException, InterruptedException {
    Scenario scenario = Scenario.of(0);
    Path store = scratch.folder().resolve("warm-up");
    scenario.create(store);
    jvm.warmUp(
        new CrashWorker.Life(
            store, scenario, 2, 20, Long.MAX_VALUE, ProbedStores.Unit.SLICE, Fault.NONE));
  }

  private Counts round(WorkerJvm jvm, long round, ScratchFolder scratch)
      throws IOException, InterruptedException {
    Path folder = Files.createDirectory(scratch.folder().resolve("round-" + round));
    try (Round store = new Round(jvm, round, fault, folder)) {
      return store.run(killsPerRound);
    }
  }

  private Set<Long> readProgress(Counts sum) throws IOException {
    Set<Long> done = new HashSet<>();
    if (progress.isPresent() && Files.exists(progress.get())) {
      for (String line : Files.readAllLines(progress.get())) {
        int space = line.indexOf(' ');
        done.add(Long.parseLong(line.substring(0, space)));
        sum.add(Counts.parse(line.substring(space)));
      }
    }
    return done;
  }

  private synchronized void note(long round, Counts tally, Counts sum, Consumer<String> report)
      throws IOException {
    sum.add(tally);
    if (progress.isPresent()) {
      Files.writeString(
          progress.get(),
          round + " " + tally + "\n",
          StandardOpenOption.CREATE,
          StandardOpenOption.APPEND);
    }
    report.accept("round " + round + ": " + tally);
  }
}
