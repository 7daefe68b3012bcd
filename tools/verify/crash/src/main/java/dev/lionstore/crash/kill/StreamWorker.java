package dev.lionstore.crash.kill;

import dev.lionstore.crash.probe.Fault;
import dev.lionstore.crash.probe.ProbedStores;
import dev.lionstore.crash.probe.ProtocolPoints;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StoreOptions;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicLong;

/** Streams a scenario's gradients into a store without a gradient plane, and dies at a point. */
final class StreamWorker {
  private StreamWorker() {}

  /** Takes the store, the scenario's seed, and the fatal point of the first step. */
  public static void main(String[] arguments) throws IOException {
    Path directory = Path.of(arguments[0]);
    Scenario scenario = Scenario.streamed(Long.parseLong(arguments[1]));
    DeathAtPoint death = new DeathAtPoint(Long.parseLong(arguments[2]));
    try (StateStore store =
        ProbedStores.open(
            directory,
            StoreOptions.defaults().withThreads(2).withBackend("scalar"),
            ProbedStores.Unit.SLICE,
            death,
            Fault.NONE)) {
      death.armed = true;
      scenario.stream(store);
    }
  }

  private static final class DeathAtPoint implements ProtocolPoints {
    private final AtomicLong left;
    private final SelfKill kill = new SelfKill();
    private volatile boolean armed;

    DeathAtPoint(long fatal) {
      this.left = new AtomicLong(fatal);
    }

    @Override
    public void reached(String name) {
      if (armed && left.getAndDecrement() == 0) {
        kill.kill();
      }
    }

    @Override
    public void intended(long nextStep) {}
  }
}
