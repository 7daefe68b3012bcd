package dev.lionstore.crash.kill;

import dev.lionstore.crash.harness.BrokenPromise;
import dev.lionstore.crash.harness.Counts;
import dev.lionstore.crash.harness.ScratchFolder;
import dev.lionstore.crash.probe.Fault;
import dev.lionstore.crash.probe.ProbedStores;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;

/** One store, killed many times, checked after every kill, and closed in order at the end. */
final class Round implements AutoCloseable {
  private static final int KILLED = 137;
  private static final int FEW_POINTS = 90;
  private static final int MANY_POINTS = 700;

  private final WorkerJvm jvm;
  private final Scenario scenario;
  private final Fault fault;
  private final SplittableRandom random;
  private final Path folder;
  private final Path store;
  private final Path log;
  private final ExpectedState expected;
  private final Counts tally = new Counts();
  private long acknowledged;
  private long intended;

  Round(WorkerJvm jvm, long seed, Fault fault, Path folder) throws IOException {
    this.jvm = jvm;
    this.scenario = Scenario.of(seed);
    this.fault = fault;
    this.random = new SplittableRandom(seed);
    this.folder = folder;
    this.store = folder.resolve("store");
    this.log = folder.resolve("worker.log");
    this.expected = new ExpectedState(scenario, folder.resolve("expected"));
    scenario.create(store);
  }

  /** How a life may end. */
  private enum Kind {
    /** At a point of the protocol, soon after opening: in recovery, if there is one. */
    EARLY_POINT,
    /** At a point of the protocol of one of the first steps. */
    POINT,
    /** At any time. */
    TIME,
    /** At any time, compiled by the optimising compiler. */
    OPTIMISED_TIME,
    /** In order. */
    CLOSED
  }

  /**
   * Kills the store's writer so many times.
   *
   * @throws BrokenPromise if what is left is not what the store promises
   */
  Counts run(int kills) throws IOException, InterruptedException {
    while (tally.kills() < kills) {
      live(kind());
    }
    live(Kind.CLOSED);
    return tally;
  }

  private Kind kind() {
    int percent = random.nextInt(100);
    if (fault != Fault.NONE) {
      return percent < 50 ? Kind.EARLY_POINT : Kind.POINT;
    }
    return percent < 30
        ? Kind.EARLY_POINT
        : percent < 70 ? Kind.POINT : percent < 98 ? Kind.TIME : Kind.OPTIMISED_TIME;
  }

  private void live(Kind kind) throws IOException, InterruptedException {
    int threads = 1 + random.nextInt(3);
    int steps =
        switch (kind) {
          case EARLY_POINT, POINT, CLOSED -> 3;
          case TIME -> 100;
          case OPTIMISED_TIME -> 1_000_000;
        };
    long point =
        switch (kind) {
          case EARLY_POINT -> random.nextInt(FEW_POINTS);
          case POINT -> random.nextInt(MANY_POINTS);
          case TIME, OPTIMISED_TIME -> CrashWorker.UNPROBED;
          case CLOSED -> fault == Fault.NONE ? CrashWorker.UNPROBED : Long.MAX_VALUE;
        };
    ProbedStores.Unit unit =
        switch (random.nextInt(6)) {
          case 0, 1 -> ProbedStores.Unit.CHUNK;
          case 2 -> ProbedStores.directOrElse(ProbedStores.Unit.SLICE, store);
          default -> ProbedStores.Unit.SLICE;
        };
    CrashWorker.Life life =
        new CrashWorker.Life(store, scenario, threads, steps, point, unit, fault);
    Process process =
        kind == Kind.OPTIMISED_TIME ? jvm.startOptimised(life, log) : jvm.startCheap(life, log);
    try {
      boolean done = follow(process, killAfter(kind));
      end(process, kind, done);
    } finally {
      process.destroyForcibly();
    }
  }

  /** Nanoseconds from opening to the kill; 0 for none. */
  private long killAfter(Kind kind) {
    return switch (kind) {
      case TIME -> 1 + random.nextLong(TimeUnit.MILLISECONDS.toNanos(60));
      case OPTIMISED_TIME -> TimeUnit.SECONDS.toNanos(1) + random.nextLong(2_000_000_000L);
      default -> 0;
    };
  }

  private boolean follow(Process process, long killAfter) throws IOException {
    boolean done = false;
    try (BufferedReader lines = process.inputReader()) {
      boolean opened = false;
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        String[] words = line.split(" ", -1);
        switch (words[0]) {
          case CrashWorker.OPENING -> {
            if (killAfter > 0) {
              Thread.ofVirtual().start(() -> killLater(process, killAfter));
            }
          }
          case CrashWorker.INTENT -> intended = Long.parseLong(words[1]);
          case CrashWorker.AT -> {
            check(Long.parseLong(words[1]), words[2], opened);
            opened = true;
          }
          case CrashWorker.DONE -> done = true;
          default -> throw new BrokenPromise("the worker said " + line);
        }
      }
    }
    return done;
  }

  private static void killLater(Process process, long nanoseconds) {
    try {
      TimeUnit.NANOSECONDS.sleep(nanoseconds);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    // Not by the process itself, which would close the stream that is being read.
    process.toHandle().destroyForcibly();
  }

  private void check(long step, String fingerprint, boolean opened) throws IOException {
    long least = opened ? acknowledged + 1 : Math.max(acknowledged, intended);
    if (step < least || step > acknowledged + 1) {
      throw new BrokenPromise(
          "step " + step + ", acknowledged " + acknowledged + ", intended " + intended + where());
    }
    if (!fingerprint.equals(expected.fingerprint(step))) {
      throw new BrokenPromise(
          "another state than the uninterrupted run's at step " + step + where());
    }
    tally.checked(!opened && step == acknowledged + 1);
    acknowledged = step;
  }

  private void end(Process process, Kind kind, boolean done)
      throws IOException, InterruptedException {
    int exit = process.waitFor();
    if (exit == KILLED && kind != Kind.CLOSED) {
      tally.killed(kind.name());
    } else if (exit != 0 || !done) {
      throw new BrokenPromise("exit code " + exit + where() + ": " + Files.readString(log).strip());
    }
  }

  private String where() {
    return ", seed " + scenario.seed() + ", after " + tally.kills() + " kills, " + folder;
  }

  @Override
  public void close() throws IOException {
    expected.close();
    ScratchFolder.delete(folder);
  }
}
