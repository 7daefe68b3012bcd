package dev.lionstore.store;

import dev.lionstore.FormatException;
import dev.lionstore.os.Boot;
import dev.lionstore.rule.Plane;
import dev.lionstore.state.Condition;
import dev.lionstore.state.StateView;
import dev.lionstore.state.StoreBusyException;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.state.StoreUnusableException;
import dev.lionstore.state.TornStep;
import dev.lionstore.store.file.ArithmeticFile;
import dev.lionstore.store.file.Diagnosis;
import dev.lionstore.store.file.Header;
import dev.lionstore.store.file.LayoutFile;
import dev.lionstore.store.file.PlaneFile;
import dev.lionstore.store.file.StoreFiles;
import dev.lionstore.store.file.StoreLock;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.locks.LockSupport;

/** Reads a store without changing anything, also beside a writer. */
public final class StoreReader implements StateView, AutoCloseable {
  private static final int MOST_LOOKS = 20;
  private static final long PAUSE_NANOSECONDS = 500_000;

  private final Path directory;
  private final StoreFiles files;
  private final Header header;
  private final Condition condition;
  private final long changes;

  private StoreReader(Path directory, StoreFiles files) throws IOException {
    this.directory = directory;
    this.files = files;
    long changesBefore = files.progress().changes();
    VarHandle.acquireFence();
    Header found = newest(files);
    Condition verdict = verdict(found, files, directory);
    for (int looks = 1; newest(files).generation() != found.generation(); looks++) {
      if (looks == MOST_LOOKS) {
        verdict = Diagnosis.busy(found);
        break;
      }
      found = newest(files);
      verdict = verdict(found, files, directory);
    }
    this.header = found;
    this.condition = verdict;
    this.changes = changesBefore;
  }

  private static Condition verdict(Header header, StoreFiles files, Path directory)
      throws IOException {
    VarHandle.acquireFence();
    // A store that this process has closed amid a step has no writer, though the process lives.
    boolean noWriter = header.writer().isSelf() && !StoreLock.isHeldHere(directory);
    Diagnosis.Viewer viewer = noWriter ? Diagnosis.Viewer.WRITER : Diagnosis.Viewer.READER;
    Condition condition = Diagnosis.of(header, files, Boot.id(), viewer);
    VarHandle.acquireFence();
    return condition;
  }

  /** A writer that steps fast invalidates one record and then the other while they are read. */
  private static Header newest(StoreFiles files) throws IOException {
    for (int looks = 1; ; looks++) {
      try {
        return files.header().newest();
      } catch (FormatException e) {
        if (looks == MOST_LOOKS) {
          throw e;
        }
        LockSupport.parkNanos(PAUSE_NANOSECONDS);
      }
    }
  }

  /** Whether a folder is a store, whole or not: its layout may be what is missing. */
  public static boolean isStore(Path directory) {
    return Files.exists(directory.resolve(LayoutFile.NAME))
        || Files.exists(directory.resolve(PlaneFile.name(Plane.WEIGHTS)));
  }

  /**
   * What tells a store from any other, also from one made later in its place; empty if its layout
   * cannot be read.
   */
  public static Optional<UUID> id(Path directory) {
    try {
      return Optional.of(LayoutFile.read(directory).storeId());
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  /**
   * What a store holds, whatever its state is in.
   *
   * @throws FormatException if that cannot be read
   */
  public static StoreLayout layoutOf(Path directory) throws IOException {
    return LayoutFile.read(directory).layout();
  }

  /**
   * Opens a store in whatever condition it is.
   *
   * @throws FormatException if a file is not what it should be
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
    VarHandle.acquireFence();
    Header now = newest(files);
    boolean stepped =
        now.step() != header.step()
            || now.intent().isPresent()
            || now.phase() == Header.Phase.REFRESHING;
    if (stepped) {
      throw new StoreBusyException(directory, "a step began while it was read; try again");
    }
    if (files.progress().changes() != changes) {
      throw new StoreBusyException(directory, "masters changed while it was read; try again");
    }
  }

  /** How far a killed step without kept gradients had come, if that is what was found. */
  public Optional<TornStep> tornStep() {
    return header.phase() == Header.Phase.APPLYING_UNKEPT
            && condition.state() == Condition.State.DAMAGED
        ? Optional.of(Diagnosis.tornStep(header, files))
        : Optional.empty();
  }

  /**
   * Since which steps its bits may be others than the reference's, and why, a line for each time
   * that somebody insisted on a device that computes others.
   */
  public List<String> arithmetic() throws IOException {
    return ArithmeticFile.read(directory);
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
  public long stepCount(int tensor) {
    return layout().countsSteps() ? header.stepCounts()[tensor] : step();
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
