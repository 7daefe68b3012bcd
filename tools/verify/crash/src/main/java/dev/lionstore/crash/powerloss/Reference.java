package dev.lionstore.crash.powerloss;

import dev.lionstore.checkpoint.CarriedContent;
import dev.lionstore.checkpoint.Snapshot;
import dev.lionstore.state.StateView;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StoreOptions;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Every state of the workload's store, as it is where no power is cut; and one more. */
final class Reference implements AutoCloseable {
  private final List<Snapshot> states = new ArrayList<>();

  /**
   * Takes the same steps.
   *
   * @param folder an empty folder
   * @param count how many states
   */
  Reference(Path folder, Path model, int count) throws IOException {
    Path store = folder.resolve("store");
    Path snapshots = folder.resolve("snapshots");
    Training.importModel(model, store);
    StoreOptions options = StoreOptions.defaults().withBackend("scalar").withThreads(1);
    try (StateStore open = StateStore.open(store, options)) {
      for (int step = 0; step <= count; step++) {
        try (CarriedContent carried = CarriedContent.ofStore(open)) {
          states.add(Snapshot.open(Training.snapshot(open, carried, snapshots)));
        }
        Training.step(open);
      }
    }
  }

  /** Whether a snapshot is that of its step: every bit, and what is carried along. */
  boolean isSame(Snapshot snapshot) throws IOException {
    try (CarriedContent carried = snapshot.carried()) {
      return isSame(snapshot, carried);
    }
  }

  /** Whether a store is what it was at its step. */
  boolean isSame(StoreReader reader) throws IOException {
    try (CarriedContent carried = CarriedContent.ofStore(reader)) {
      return isSame(reader, carried);
    }
  }

  private boolean isSame(StateView view, CarriedContent carried) throws IOException {
    return isStep(view.step()) && states.get((int) view.step()).holds(view, carried, _ -> {});
  }

  private boolean isStep(long step) {
    return step >= 0 && step < states.size();
  }

  /** Takes the snapshot that would come after the workload's last one. */
  Path snapshotNext(Path snapshots) throws IOException {
    Snapshot next = states.getLast();
    try (CarriedContent carried = next.carried()) {
      return Training.snapshot(next, carried, snapshots);
    }
  }

  @Override
  public void close() {
    states.forEach(Snapshot::close);
  }
}
