package dev.lionstore.crash.kill;

import dev.lionstore.ElementType;
import dev.lionstore.crash.harness.BrokenPromise;
import dev.lionstore.crash.harness.ScratchFolder;
import dev.lionstore.crash.probe.Fault;
import dev.lionstore.crash.probe.ProbedStores;
import dev.lionstore.crash.probe.ProtocolPoints;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.state.StateView;
import dev.lionstore.state.StoreUnusableException;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StoreOptions;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Ends a writer at every point at which masters and a position change between two steps, and its
 * recovery at every few points, within one process. What is left must be a state that the unkilled
 * writer had, and what may be read of it meanwhile, too.
 */
final class EveryPointOfAChange {
  private static final long NEVER = Long.MAX_VALUE;
  private static final int FIRST_POINTS = 3;
  private static final int FIRST_CHANGE = 1;
  private static final int LAST_CHANGE = 3;

  private final Scenario scenario;
  private final Path folder;
  private final StoreOptions options;
  private final Fault fault;
  private final Path original;
  private final List<Action> actions =
      List.of(this::step, this::first, this::second, this::publish, this::step);
  private final List<String> expected = new ArrayList<>();
  private final Map<String, Integer> kills = new TreeMap<>();
  private long pending;

  /** What a writer does. */
  private interface Action {
    void run(StateStore store) throws IOException;
  }

  EveryPointOfAChange(Scenario scenario, Path folder, int threads, Fault fault) throws IOException {
    this.scenario = scenario;
    this.folder = folder;
    this.options = StoreOptions.defaults().withThreads(threads).withBackend("scalar");
    this.fault = fault;
    this.original = folder.resolve("original");
    scenario.create(original);
    try (StateStore store =
        StateStore.open(ScratchFolder.copy(original, folder.resolve("e")), options)) {
      expected.add(Fingerprint.of(store));
      for (Action action : actions) {
        action.run(store);
        expected.add(Fingerprint.of(store));
      }
    }
  }

  private void step(StateStore store) throws IOException {
    scenario.step(store);
  }

  private void first(StateStore store) throws IOException {
    store.changeMasters(changed(store, ElementType.F32, 40), new byte[] {1, 2, 3});
  }

  private void second(StateStore store) throws IOException {
    store.changeMasters(changed(store, ElementType.BF16, 100));
  }

  private void publish(StateStore store) throws IOException {
    store.publish(new byte[] {4, 5});
  }

  /** What parameters of every tensor were given, every few elements another value. */
  private static Map<Integer, GradientValues> changed(
      StateStore store, ElementType type, int every) {
    Map<Integer, GradientValues> values = new HashMap<>();
    for (int t = 0; t < store.layout().tensors().size(); t++) {
      long count = store.layout().tensors().get(t).count();
      MemorySegment masters = Arena.ofAuto().allocate(count * Float.BYTES, Float.BYTES);
      store.copyMaster(t, 0, masters);
      MemorySegment data = Arena.ofAuto().allocate(count * type.bytes(), Float.BYTES);
      for (long i = 0; i < count; i++) {
        float master = masters.getAtIndex(ValueLayout.JAVA_FLOAT, i);
        int bits = Float.floatToRawIntBits(i % every == 3 ? 2 + master * 3 : master);
        if (type == ElementType.F32) {
          data.setAtIndex(ValueLayout.JAVA_INT, i, bits);
        } else {
          data.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) ((bits + 0x8000) >>> 16));
        }
      }
      values.put(t, new GradientValues(type, data));
    }
    return values;
  }

  /** How often each kind of point was the last one. */
  Map<String, Integer> kills() {
    return kills;
  }

  /** How many killed writers left a change to be finished, for readers to see. */
  long pending() {
    return pending;
  }

  /**
   * Kills at every point of the changes, and recoveries at the first points and then at every
   * {@code stride}th one.
   *
   * @throws BrokenPromise if what is left is not what the store promises
   */
  void run(int stride) throws IOException {
    History whole = new History(NEVER);
    live(ScratchFolder.copy(original, folder.resolve("whole")), whole);
    for (long point = whole.firstChange; point < whole.afterChanges; point++) {
      History history = new History(point);
      Path killed = ScratchFolder.copy(original, folder.resolve("killed"));
      live(killed, history);
      killRecoveries(killed, stride, point % stride, history);
      live(killed, history.next(NEVER));
      requireFinished(killed, history);
      ScratchFolder.delete(killed);
    }
  }

  private void killRecoveries(Path killed, int stride, long first, History history)
      throws IOException {
    boolean opening = true;
    for (long point = 0; opening; point = next(point, stride, first)) {
      Path again = ScratchFolder.copy(killed, folder.resolve("again"));
      History recovery = history.next(point);
      live(again, recovery);
      opening = !recovery.opened;
      live(again, recovery.next(NEVER));
      requireFinished(again, recovery);
      ScratchFolder.delete(again);
    }
  }

  /** The first ones are those of a journal that is given up. */
  private static long next(long point, int stride, long first) {
    return point < FIRST_POINTS - 1
        ? point + 1
        : point == FIRST_POINTS - 1 ? FIRST_POINTS + first : point + stride;
  }

  private void requireFinished(Path store, History history) throws IOException {
    for (String left : List.of("changes", "changes.new")) {
      if (Files.exists(store.resolve(left))) {
        throw new BrokenPromise(history + ": file " + left + " is left");
      }
    }
    try (StateStore again = StateStore.open(store, options)) {
      if (!Fingerprint.of(again).equals(expected.getLast())) {
        throw new BrokenPromise(history + ": the last state is another");
      }
    }
  }

  /** Opens and does what is left to do; what a reader sees after a kill is checked, too. */
  private void live(Path directory, History history) throws IOException {
    try (StateStore store =
        ProbedStores.open(directory, options, ProbedStores.Unit.SLICE, history, fault)) {
      history.opened = true;
      for (history.found(store); history.stage < actions.size(); history.stage++) {
        if (history.stage == FIRST_CHANGE) {
          history.firstChange = history.kill.count();
        }
        actions.get(history.stage).run(store);
        history.mustHappen = false;
        if (history.stage == LAST_CHANGE) {
          history.afterChanges = history.kill.count();
        }
      }
    } catch (SimulatedKill e) {
      kills.merge(history.kill.where(), 1, Integer::sum);
      look(directory, history);
    } catch (IOException | RuntimeException e) {
      throw new BrokenPromise(history + ": " + e, e);
    }
  }

  private void look(Path directory, History history) throws IOException {
    try (StoreReader reader = StoreReader.openAtRest(directory)) {
      history.check(reader);
    } catch (StoreUnusableException e) {
      pending += String.valueOf(e.getReason()).contains("changed masters") ? 1 : 0;
    }
  }

  /** How far a store is, and the kill that is to come. */
  private final class History implements ProtocolPoints {
    private final SimulatedKill.At kill;
    private final String words;
    private int stage;
    private boolean mustHappen;
    private boolean opened;
    private long firstChange;
    private long afterChanges;

    History(long fatal) {
      this(fatal, 0, false, "killed at");
    }

    private History(long fatal, int stage, boolean mustHappen, String words) {
      this.kill = new SimulatedKill.At(fatal);
      this.stage = stage;
      this.mustHappen = mustHappen;
      this.words = words;
    }

    History next(long fatal) {
      return new History(fatal, stage, mustHappen, this + " then");
    }

    @Override
    public void reached(String name) {
      kill.reached(name);
    }

    @Override
    public void intended(long nextStep) {
      mustHappen = true;
    }

    @Override
    public void changeIntended() {
      mustHappen = true;
    }

    private boolean isAt(StateView view, int other) throws IOException {
      return other < expected.size() && Fingerprint.of(view).equals(expected.get(other));
    }

    void check(StateView view) throws IOException {
      boolean before = isAt(view, stage) && !mustHappen;
      if (!before && !isAt(view, stage + 1)) {
        throw new BrokenPromise(
            this + ": the state is neither " + (mustHappen ? "" : stage + " nor ") + (stage + 1));
      }
    }

    void found(StateStore store) throws IOException {
      check(store);
      stage = isAt(store, stage + 1) ? stage + 1 : stage;
      mustHappen = false;
    }

    @Override
    public String toString() {
      return words + " [" + kill.where() + " in action " + stage + "]";
    }
  }
}
