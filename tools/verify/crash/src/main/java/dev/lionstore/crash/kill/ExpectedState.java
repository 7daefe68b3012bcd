package dev.lionstore.crash.kill;

import dev.lionstore.store.StateStore;
import dev.lionstore.store.StoreOptions;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The run that nobody kills, on one thread with the scalar reference. */
final class ExpectedState implements AutoCloseable {
  private final Scenario scenario;
  private final StateStore store;
  private final List<String> fingerprints = new ArrayList<>();

  ExpectedState(Scenario scenario, Path directory) throws IOException {
    this.scenario = scenario;
    scenario.create(directory);
    this.store =
        StateStore.open(directory, StoreOptions.defaults().withBackend("scalar").withThreads(1));
    fingerprints.add(Fingerprint.of(store));
  }

  /** What the store must be at a step. */
  String fingerprint(long step) throws IOException {
    while (fingerprints.size() <= step) {
      scenario.step(store);
      fingerprints.add(Fingerprint.of(store));
    }
    return fingerprints.get((int) step);
  }

  @Override
  public void close() throws IOException {
    store.close();
  }
}
