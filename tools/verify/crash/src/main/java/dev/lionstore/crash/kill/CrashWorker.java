package dev.lionstore.crash.kill;

import dev.lionstore.crash.probe.Fault;
import dev.lionstore.crash.probe.ProbedStores;
import dev.lionstore.crash.probe.ProtocolPoints;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StoreOptions;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicLong;

/** The process that is killed: opens a store, steps and closes it, and says what it has reached. */
final class CrashWorker {
  /** Before the store is opened. */
  static final String OPENING = "opening";

  /** The store is at this step, with this fingerprint. */
  static final String AT = "at";

  /** This step must happen from now on. */
  static final String INTENT = "intent";

  /** The store has been closed. */
  static final String DONE = "done";

  /** No point is fatal, and the store is opened as users open it. */
  static final long UNPROBED = -1;

  private CrashWorker() {}

  /** Runs one life. */
  public static void main(String[] arguments) throws IOException {
    Life life = Life.parse(arguments);
    try (FileOutputStream out = new FileOutputStream(FileDescriptor.out)) {
      say(out, OPENING);
      try (StateStore store = open(life, out)) {
        say(out, AT + " " + store.step() + " " + Fingerprint.of(store));
        for (int step = 0; step < life.steps(); step++) {
          life.scenario().step(store);
          say(out, AT + " " + store.step() + " " + Fingerprint.of(store));
        }
      }
      say(out, DONE);
    }
  }

  private static StateStore open(Life life, FileOutputStream out) throws IOException {
    StoreOptions options = StoreOptions.defaults().withThreads(life.threads());
    return life.fatalPoint() == UNPROBED
        ? StateStore.open(life.store(), options.withBackend("vector"))
        : ProbedStores.open(
            life.store(), options, life.unit(), new RealKill(life.fatalPoint(), out), life.fault());
  }

  /** One write, so that a line is whole or absent. */
  private static void say(FileOutputStream out, String line) throws IOException {
    out.write((line + "\n").getBytes(StandardCharsets.UTF_8));
  }

  /**
   * What a worker is started with.
   *
   * @param store its folder
   * @param scenario what happens to it
   * @param threads that step
   * @param steps how many before it closes the store
   * @param fatalPoint at which point of the protocol it dies, or {@link #UNPROBED}
   * @param unit what steps, unless it is opened as users open it
   * @param fault that is planted
   */
  record Life(
      Path store,
      Scenario scenario,
      int threads,
      int steps,
      long fatalPoint,
      ProbedStores.Unit unit,
      Fault fault) {
    String[] arguments() {
      return new String[] {
        store.toString(),
        Long.toString(scenario.seed()),
        Integer.toString(threads),
        Integer.toString(steps),
        Long.toString(fatalPoint),
        unit.name(),
        fault.name()
      };
    }

    static Life parse(String[] arguments) {
      return new Life(
          Path.of(arguments[0]),
          Scenario.of(Long.parseLong(arguments[1])),
          Integer.parseInt(arguments[2]),
          Integer.parseInt(arguments[3]),
          Long.parseLong(arguments[4]),
          ProbedStores.Unit.valueOf(arguments[5]),
          Fault.valueOf(arguments[6]));
    }
  }

  /** Kills the process at one point. */
  private static final class RealKill implements ProtocolPoints {
    private final long fatal;
    private final FileOutputStream out;
    private final AtomicLong reached = new AtomicLong();
    private final SelfKill kill = new SelfKill();

    RealKill(long fatal, FileOutputStream out) {
      this.fatal = fatal;
      this.out = out;
    }

    @Override
    public void reached(String name) {
      if (reached.getAndIncrement() == fatal) {
        kill.kill();
      }
    }

    @Override
    public void intended(long nextStep) {
      try {
        say(out, INTENT + " " + nextStep);
      } catch (IOException e) {
        throw new IllegalStateException(e);
      }
    }
  }
}
