package dev.lionstore.store;

import dev.lionstore.mapping.Boot;
import dev.lionstore.rule.Plane;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;

/** Reads a store without changing anything, also beside a writer. */
public final class StoreReader implements StateView, AutoCloseable {
  private final Path directory;
  private final StoreFiles files;
  private final Header header;
  private final Condition condition;

  private StoreReader(Path directory, StoreFiles files) throws IOException {
    this.directory = directory;
    this.files = files;
    this.header = files.header().newest();
    this.condition = Condition.of(header, files, Boot.id());
  }

  /** Whether a folder is a store, whole or not. */
  public static boolean isStore(Path directory) {
    return Files.exists(directory.resolve(LayoutFile.NAME));
  }

  /**
   * Opens a store in whatever condition it is.
   *
   * @throws dev.lionstore.FormatException if a file is not what it should be
   */
  public static StoreReader open(Path directory) throws IOException {
    StoreFiles files = StoreFiles.openReadOnly(directory, LayoutFile.read(directory));
    try {
      return new StoreReader(directory, files);
    } catch (IOException | RuntimeException | Error e) {
      files.close();
      throw e;
    }
  }

  /**
   * Opens a store whose planes can be read: no step is under way and none is to be finished first.
   *
   * @throws StoreBusyException if a step is under way
   * @throws StoreUnusableException if the planes are not at one step
   */
  public static StoreReader openAtRest(Path directory) throws IOException {
    StoreReader reader = open(directory);
    try {
      reader.requireAtRest();
      return reader;
    } catch (IOException e) {
      reader.close();
      throw e;
    }
  }

  private void requireAtRest() throws IOException {
    switch (condition.state()) {
      case CLEAN, IDLE -> {}
      case BUSY -> throw new StoreBusyException(directory, condition.sentence());
      case RECOVERING ->
          throw new StoreUnusableException(
              directory, condition.sentence() + "; run lionstore recover");
      case DAMAGED, UNTRUSTED -> throw new StoreUnusableException(directory, condition);
    }
  }

  /** What was found when it was opened. */
  public Condition condition() {
    return condition;
  }

  @Override
  public void requireUnchanged() throws IOException {
    Header now = files.header().newest();
    boolean stepped = now.step() != header.step() || now.intent().isPresent();
    if (stepped) {
      throw new StoreBusyException(directory, "a step began while it was read; try again");
    }
  }

  /** What the store's files take, in bytes. */
  public long fileBytes() {
    return StoreFiles.size(files.layout());
  }

  @Override
  public Path directory() {
    return directory;
  }

  @Override
  public StoreLayout layout() {
    return files.layout().layout();
  }

  @Override
  public long step() {
    return header.step();
  }

  @Override
  public byte[] position() {
    return header.position().clone();
  }

  @Override
  public MemorySegment values(Plane plane, int tensor) {
    return files.values(plane, tensor).asReadOnly();
  }

  @Override
  public void close() throws IOException {
    files.close();
  }
}
