package dev.lionstore.store;

import dev.lionstore.store.file.Header;
import dev.lionstore.store.file.HeaderWriter;
import dev.lionstore.store.file.StoreFiles;
import dev.lionstore.store.step.StoreLife;
import java.io.IOException;

/**
 * Makes a store durable. A sync that fails is final: a second one would succeed although the first
 * has lost something, so it is recorded for those who open the store later.
 */
final class StoreSync {
  private final StoreFiles files;
  private final HeaderWriter header;
  private final StoreLife life;

  StoreSync(StoreFiles files, HeaderWriter header, StoreLife life) {
    this.files = files;
    this.header = header;
    this.life = life;
  }

  /** Syncs all files. */
  void force() throws IOException {
    files.requireStillThere(); // no failed sync: a store that was moved is good where it is
    try {
      files.force();
    } catch (IOException e) {
      failed();
      throw e;
    }
  }

  /** Syncs the header. */
  void forceHeader() throws IOException {
    try {
      files.header().force();
    } catch (IOException e) {
      failed();
      throw e;
    }
  }

  private void failed() {
    life.fail();
    // Twice: a damaged bit in the only record that says so would give the one before.
    header.write(Header.Phase.SYNC_FAILED);
    header.write(Header.Phase.SYNC_FAILED);
  }
}
