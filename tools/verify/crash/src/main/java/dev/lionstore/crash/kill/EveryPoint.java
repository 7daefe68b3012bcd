package dev.lionstore.crash.kill;

import dev.lionstore.FormatException;
import dev.lionstore.crash.harness.BrokenPromise;
import dev.lionstore.crash.harness.ScratchFolder;
import dev.lionstore.crash.probe.Fault;
import dev.lionstore.crash.probe.ProbedStores;
import dev.lionstore.state.StoreUnusableException;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StoreOptions;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;

/**
 * Ends a writer at every point of a short life (open, a few steps, close), ends its recovery at
 * every point, and the recovery of the recovery too, within one process.
 */
final class EveryPoint implements AutoCloseable {
  private static final int STEPS = 3;

  /** Where a header's record has them. */
  private static final int GENERATION_OFFSET = 24;

  private static final int STEP_OFFSET = 32;

  /** Beyond every point. */
  private static final long NEVER = Long.MAX_VALUE;

  private final Scenario scenario;
  private final Path folder;
  private final StoreOptions options;
  private final ProbedStores.Unit unit;
  private final Fault fault;
  private final ExpectedState expected;
  private final Path original;
  private final Map<String, Integer> kills = new TreeMap<>();
  private long count;
  private long refused;

  EveryPoint(Scenario scenario, Path folder, int threads, ProbedStores.Unit unit, Fault fault)
      throws IOException {
    this.scenario = scenario;
    this.folder = folder;
    this.options = StoreOptions.defaults().withThreads(threads).withBackend("scalar");
    this.unit = unit;
    this.fault = fault;
    this.expected = new ExpectedState(scenario, folder.resolve("expected"));
    this.original = folder.resolve("original");
    scenario.create(original);
  }

  /** How often each kind of point was the last one. */
  Map<String, Integer> kills() {
    return kills;
  }

  /** How many kills there were. */
  long count() {
    return count;
  }

  /**
   * Kills at every point, and recoveries at every {@code stride}th one.
   *
   * @throws BrokenPromise if what is left is not what the store promises
   */
  void run(int stride) throws IOException {
    run(stride, 1);
  }

  /** The same at one point of so many. */
  void run(int stride, int oneOf) throws IOException {
    SimulatedKill.At whole = new SimulatedKill.At(NEVER);
    live(ScratchFolder.copy(original, folder.resolve("whole")), whole, new History());
    for (long point = 0; point < whole.count(); point += oneOf) {
      History history = new History();
      Path store = ScratchFolder.copy(original, folder.resolve("killed"));
      kill(store, point, history);
      killRecoveries(store, point, stride, history);
      finish(store, history);
    }
  }

  /**
   * Kills at every point, then damages the newest header: what opens must be true.
   *
   * @throws BrokenPromise if something else is taken for a state
   */
  void runWithDamagedHeaders() throws IOException {
    SimulatedKill.At whole = new SimulatedKill.At(NEVER);
    live(ScratchFolder.copy(original, folder.resolve("whole")), whole, new History());
    for (long point = 0; point < whole.count(); point++) {
      History history = new History();
      Path store = ScratchFolder.copy(original, folder.resolve("killed"));
      kill(store, point, history);
      damageNewestHeader(store.resolve("header"));
      history.intended = 0; // its record is gone
      openDamaged(store, history);
    }
  }

  private void openDamaged(Path directory, History history) throws IOException {
    try (StateStore store =
        ProbedStores.open(directory, options, unit, new SimulatedKill.At(NEVER), fault)) {
      history.check(store, expected);
    } catch (FormatException | StoreUnusableException e) {
      refused++;
    }
  }

  /** Flips a bit of the step in the valid record of the greater generation. */
  private static void damageNewestHeader(Path file) throws IOException {
    ByteBuffer header = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    int slotBytes = header.capacity() / 2;
    boolean first = generation(header, 0) > generation(header, slotBytes);
    int step = (first ? 0 : slotBytes) + STEP_OFFSET;
    header.put(step, (byte) (header.get(step) ^ 1));
    Files.write(file, header.array());
  }

  private static long generation(ByteBuffer header, int slot) {
    return header.getLong(slot) == 0 ? -1 : header.getLong(slot + GENERATION_OFFSET);
  }

  /** How many damaged stores were refused. */
  long refused() {
    return refused;
  }

  /** Each recovery is ended at a later point than the one before; the last ones reach the end. */
  private void killRecoveries(Path store, long first, int stride, History history)
      throws IOException {
    for (long point = first % stride; point < first + stride; point += stride) {
      if (!kill(store, point, history)) {
        return;
      }
    }
  }

  private boolean kill(Path store, long point, History history) throws IOException {
    SimulatedKill.At kill = new SimulatedKill.At(point);
    try {
      live(store, kill, history);
      return false;
    } catch (SimulatedKill e) {
      count++;
      kills.merge(kill.where(), 1, Integer::sum);
      history.killed(kill);
      return true;
    }
  }

  private void finish(Path store, History history) throws IOException {
    live(store, new SimulatedKill.At(NEVER), history);
    try (StateStore again = StateStore.open(store, options)) {
      history.check(again, expected);
    }
    ScratchFolder.delete(store);
  }

  /** Opens, steps to the end and closes. Where a device is killed, the CPU recovers, and so on. */
  private void live(Path directory, SimulatedKill.At kill, History history) throws IOException {
    ProbedStores.Unit its = history.kills % 2 == 0 ? unit : ProbedStores.Unit.SLICE;
    try (StateStore store = ProbedStores.open(directory, options, its, kill, fault)) {
      history.check(store, expected);
      while (store.step() < STEPS) {
        scenario.step(store);
        history.check(store, expected);
      }
    } catch (IOException | RuntimeException e) {
      throw new BrokenPromise(history + ": " + e, e);
    }
  }

  @Override
  public void close() throws IOException {
    expected.close();
  }

  /** What has been acknowledged, and what was intended. */
  private static final class History {
    private long acknowledged;
    private long intended;
    private int kills;
    private final StringBuilder words = new StringBuilder("killed at");

    void killed(SimulatedKill.At kill) {
      intended = Math.max(intended, kill.lastIntended());
      kills++;
      words.append(" [").append(kill.where()).append("]");
    }

    void check(StateStore store, ExpectedState expected) throws IOException {
      long step = store.step();
      if (step < Math.max(acknowledged, intended) || step > acknowledged + 1) {
        throw new BrokenPromise(
            this
                + ": step is "
                + step
                + ", acknowledged "
                + acknowledged
                + ", intended "
                + intended);
      }
      if (!Fingerprint.of(store).equals(expected.fingerprint(step))) {
        throw new BrokenPromise(this + ": the state at step " + step + " is another");
      }
      acknowledged = step;
    }

    @Override
    public String toString() {
      return words.toString();
    }
  }
}
