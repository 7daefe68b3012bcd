package dev.lionstore.store;

import dev.lionstore.kernel.Kernel;
import dev.lionstore.store.file.Header;
import dev.lionstore.store.file.LayoutFile;
import dev.lionstore.store.file.Mark;
import dev.lionstore.store.file.ProgressFile;
import dev.lionstore.store.file.StoreFiles;
import dev.lionstore.store.file.StoreParts;
import java.io.IOException;
import java.lang.invoke.VarHandle;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/** Opens stores that are stepped by a kernel of the caller's. */
public final class StoresWithKernel {
  private StoresWithKernel() {}

  /** As {@link StateStore#open(Path, StoreOptions)}; the store closes the kernel. */
  public static StateStore open(Path directory, StoreOptions options, Supplier<Kernel> kernel)
      throws IOException {
    return StateStore.open(
        directory,
        options,
        new StoreParts() {
          @Override
          public Kernel kernel(Kernel selected) {
            selected.close();
            return kernel.get();
          }
        });
  }

  /**
   * How many chunks a killed writer had begun to change and not finished: neither unsaved nor
   * stamped.
   */
  public static long chunksInHand(Path directory) throws IOException {
    LayoutFile layout = LayoutFile.read(directory);
    try (StoreFiles files = StoreFiles.openReadOnly(directory, layout)) {
      Header header = files.header().newest();
      long mark = Mark.of(header.step() + 1, header.crc());
      long inHand = 0;
      for (int slot = 0; slot < ProgressFile.WORKERS; slot++) {
        int chunk = files.progress().chunkInHand(slot, header.step() + 1);
        boolean begun = chunk >= 0 && files.progress().savedInHand(slot) > 0;
        inHand += begun && files.progress().stamp(chunk) != mark ? 1 : 0;
      }
      return header.phase() == Header.Phase.APPLYING ? inHand : 0;
    }
  }

  /**
   * Waits until another process has counted a part of a chunk, and no more of it.
   *
   * @throws IllegalStateException if that takes a minute
   */
  public static void awaitChunkInHand(Path directory) throws IOException {
    LayoutFile layout = LayoutFile.read(directory);
    try (StoreFiles files = StoreFiles.openReadOnly(directory, layout)) {
      long end = System.nanoTime() + TimeUnit.MINUTES.toNanos(1);
      while (!anyInHand(files)) {
        if (System.nanoTime() - end > 0) {
          throw new IllegalStateException("no chunk of " + directory + " is in hand");
        }
        VarHandle.acquireFence(); // or the compiler would look once
      }
    }
  }

  private static boolean anyInHand(StoreFiles files) {
    for (int slot = 0; slot < ProgressFile.WORKERS; slot++) {
      int saved = files.progress().savedInHand(slot);
      if (saved > 0 && saved < files.geometry().chunkElements()) {
        return true;
      }
    }
    return false;
  }
}
