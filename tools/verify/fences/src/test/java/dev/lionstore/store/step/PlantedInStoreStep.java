package dev.lionstore.store.step;

import dev.lionstore.store.StateStore;
import java.io.IOException;

/** Opens the store that it is a part of. */
public final class PlantedInStoreStep {
  private PlantedInStoreStep() {}

  static void open(StateStore store) throws IOException {
    store.close();
  }
}
