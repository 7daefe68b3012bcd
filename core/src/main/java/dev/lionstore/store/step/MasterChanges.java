package dev.lionstore.store.step;

import dev.lionstore.rule.Plane;
import dev.lionstore.state.NoSpaceException;
import dev.lionstore.store.file.ChangesFile;
import dev.lionstore.store.file.HeaderWriter;
import dev.lionstore.store.file.StoreFiles;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Optional;

/**
 * Changes masters between two steps as a transaction: what is to be written is written down first,
 * in {@link ChangesFile}, then into the planes, and the header that follows ends it.
 */
public final class MasterChanges {
  /** Below this the other threads would take longer to wake than to write. */
  private static final long SHARED_BYTES = 1 << 20;

  private final StoreFiles files;
  private final ChangesFile journal;
  private final WorkerCrew crew;
  private final StepEngine engine;
  private final HeaderWriter header;

  public MasterChanges(StoreFiles files, WorkerCrew crew, StepEngine engine, HeaderWriter header) {
    this.files = files;
    this.journal = files.changes();
    this.crew = crew;
    this.engine = engine;
    this.header = header;
  }

  /**
   * Finishes a change that a killed writer had decided; what else is there is removed.
   *
   * <p>Comes before any other header is written: the change would no longer count.
   */
  public void recover() throws IOException {
    if (journal.isBegun()) {
      journal.discard();
    }
    switch (journal.find(header.newest())) {
      case NONE -> {}
      case STALE -> journal.delete();
      case PENDING -> {
        journal.open();
        apply();
      }
    }
  }

  /**
   * Writes down what is to be changed. Nothing has happened if it throws.
   *
   * @throws NoSpaceException if the disk has no room for it
   */
  public void prepare(MasterDifferences differences, Optional<byte[]> position) throws IOException {
    try {
      differences.write(journal.create(header.newest(), position, differences.runBytes()));
      journal.seal();
    } catch (IOException | RuntimeException | Error e) {
      journal.discard();
      throw e;
    }
  }

  /** Changes what has been prepared. */
  public void complete() throws IOException {
    journal.commit();
    apply();
  }

  private void apply() throws IOException {
    files.progress().countChange();
    int workers = journal.runBytes() < SHARED_BYTES ? 1 : crew.workers();
    crew.run(worker -> apply(worker, workers), workers);
    header.publishPosition(journal.position().orElse(header.newest().position()));
    journal.delete();
  }

  /** Every worker reads all runs' heads, which are few or short, and writes its share. */
  private void apply(int worker, int workers) {
    int[] next = {0};
    try {
      journal.forEachRun(run -> {
        if (next[0]++ % workers == worker) {
          engine.beforeChange(run.tensor(), run.from(), run.to());
          journal.apply(
              run,
              files.values(Plane.WEIGHTS, run.tensor()),
              files.values(Plane.REMAINDER, run.tensor()));
        }
      });
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
