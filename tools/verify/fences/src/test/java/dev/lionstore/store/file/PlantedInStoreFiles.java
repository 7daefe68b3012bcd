package dev.lionstore.store.file;

import dev.lionstore.store.StateStore;
import java.io.IOException;

/** Opens the store that it is a part of. */
public final class PlantedInStoreFiles {
  private PlantedInStoreFiles() {}

  static void open(StateStore store) throws IOException {
    store.close();
  }
}
