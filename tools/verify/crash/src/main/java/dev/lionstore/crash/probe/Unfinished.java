package dev.lionstore.crash.probe;

import dev.lionstore.store.file.Header;
import dev.lionstore.store.file.LayoutFile;
import dev.lionstore.store.file.Mark;
import dev.lionstore.store.file.StoreFiles;
import java.io.IOException;
import java.nio.file.Path;
import java.util.stream.IntStream;

/** What a killed writer has left to whoever opens its store next. */
public final class Unfinished {
  private Unfinished() {}

  /**
   * How many chunks recovery will have to step.
   *
   * @throws IllegalStateException if the store was not killed in a step
   */
  public static int chunks(Path directory) throws IOException {
    LayoutFile layout = LayoutFile.read(directory);
    try (StoreFiles files = StoreFiles.openReadOnly(directory, layout)) {
      Header header = files.header().newest();
      if (header.phase() != Header.Phase.APPLYING) {
        throw new IllegalStateException(directory + " is " + header.phase() + ", not in a step");
      }
      long mark = Mark.of(header.step() + 1, header.crc());
      return (int)
          IntStream.range(0, files.geometry().chunkCount())
              .filter(chunk -> files.progress().stamp(chunk) != mark)
              .count();
    }
  }
}
