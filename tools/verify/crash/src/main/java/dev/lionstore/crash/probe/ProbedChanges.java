package dev.lionstore.crash.probe;

import dev.lionstore.store.file.ChangesFile;
import dev.lionstore.store.file.Header;
import dev.lionstore.store.file.LayoutFile;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;

/** Reports every part of a change of masters. */
final class ProbedChanges extends ChangesFile {
  private final Path directory;
  private final ProtocolPoints points;
  private final Fault fault;

  ProbedChanges(Path directory, LayoutFile layout, ProtocolPoints points, Fault fault) {
    super(directory, layout);
    this.directory = directory;
    this.points = points;
    this.fault = fault;
  }

  @Override
  public Found find(Header newest) throws IOException {
    return fault == Fault.CHANGE_NOT_REDONE ? Found.NONE : super.find(newest);
  }

  @Override
  public void allocateBlocks(Path file, long size) throws IOException {
    points.reached("changes: before it is allocated");
    super.allocateBlocks(file, size);
    points.reached("changes: allocated");
  }

  @Override
  public void seal() {
    points.reached("changes: filled");
    super.seal();
    points.reached("changes: sealed");
  }

  @Override
  public void commit() throws IOException {
    points.reached("changes: before it is renamed");
    super.commit();
    points.changeIntended();
    points.reached("changes: renamed");
  }

  @Override
  public void apply(Run run, MemorySegment weights, MemorySegment remainder) {
    points.reached("run: before it is written");
    long half = run.masters().byteSize() / 8 * 4;
    super.apply(
        new Run(run.tensor(), run.from(), run.masters().asSlice(0, half)), weights, remainder);
    points.reached("run: half written");
    if (fault == Fault.CHANGE_JOURNAL_GONE_EARLY) {
      forget();
    }
    super.apply(run, weights, remainder);
    points.reached("run: written");
  }

  private void forget() {
    try {
      Files.deleteIfExists(directory.resolve(NAME));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void discard() throws IOException {
    points.reached("changes: before it is given up");
    super.discard();
    points.reached("changes: given up");
  }

  @Override
  public void delete() throws IOException {
    points.reached("changes: before it is deleted");
    super.delete();
    points.reached("changes: deleted");
  }
}
