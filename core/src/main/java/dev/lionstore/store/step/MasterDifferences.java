package dev.lionstore.store.step;

import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.MasterConversion;
import dev.lionstore.rule.Master;
import dev.lionstore.rule.Plane;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.file.ChangesFile;
import dev.lionstore.store.file.StoreFiles;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BiConsumer;
import java.util.function.Supplier;

/**
 * Which of a caller's values are not what a parameter of their type would have been given from the
 * masters. Everything is compared first, piece by piece, by all threads that may read the values;
 * only pieces in which something differs are looked at again.
 */
public final class MasterDifferences {
  /** A piece has as many elements, and the last one of a tensor what remains besides. */
  private static final int PIECE_ELEMENTS = 1 << 16;

  /** A run goes on over fewer equal elements: a run of its own would take more. */
  private static final int GAP = 16;

  private final StoreFiles files;
  private final WorkerCrew crew;
  private final boolean shared;
  private final List<Piece> different;

  private MasterDifferences(
      StoreFiles files,
      MasterConversion masters,
      WorkerCrew crew,
      Map<Integer, GradientValues> values) {
    this.files = files;
    this.crew = crew;
    this.shared = crew.mayRead(values.values().stream().map(GradientValues::data));
    List<Piece> pieces = new ArrayList<>();
    new TreeMap<>(values).forEach((tensor, given) -> cut(tensor, given, pieces));
    each(pieces, () -> masters, Piece::compare);
    this.different = pieces.stream().filter(piece -> piece.differs).toList();
    scan(MasterDifferences::measure);
  }

  /**
   * Compares.
   *
   * @param values by the tensors' indexes in the layout
   * @throws IllegalArgumentException if a tensor is not there, or its values are too many or few
   */
  public static MasterDifferences of(
      StoreFiles files,
      MasterConversion masters,
      WorkerCrew crew,
      Map<Integer, GradientValues> values) {
    values.forEach((tensor, given) -> requireFits(files.layout().layout(), tensor, given));
    return new MasterDifferences(files, masters, crew, values);
  }

  private static void requireFits(StoreLayout layout, int tensor, GradientValues given) {
    if (tensor < 0 || tensor >= layout.tensors().size()) {
      throw new IllegalArgumentException(
          "there is no tensor " + tensor + ", expected 0 to " + (layout.tensors().size() - 1));
    }
    TensorSpec spec = layout.tensors().get(tensor);
    long expected = Math.multiplyExact(spec.count(), (long) given.type().bytes());
    if (given.data().byteSize() != expected) {
      throw new IllegalArgumentException(
          "values of tensor "
              + spec.name()
              + " have "
              + given.data().byteSize()
              + " bytes, expected "
              + expected
              + " ("
              + given.type()
              + " "
              + spec.shape()
              + ")");
    }
  }

  private void cut(int tensor, GradientValues given, List<Piece> pieces) {
    long count = given.count();
    MemorySegment weights = files.values(Plane.WEIGHTS, tensor);
    MemorySegment remainder = files.values(Plane.REMAINDER, tensor);
    int bytes = given.type().bytes();
    for (long from = 0; from < count; ) {
      boolean last = count - from < 2 * PIECE_ELEMENTS;
      int elements = last ? (int) (count - from) : PIECE_ELEMENTS;
      pieces.add(
          new Piece(
              tensor,
              from,
              weights.asSlice(2 * from, 2L * elements),
              remainder.asSlice(2 * from, 2L * elements),
              new GradientValues(
                  given.type(), given.data().asSlice(from * bytes, (long) elements * bytes))));
      from += elements;
    }
  }

  /** What is done with a piece, with room for its elements. */
  private interface Scan {
    void run(Piece piece, MasterScan scan);
  }

  private void scan(Scan action) {
    each(
        different,
        () -> new MasterScan(2 * PIECE_ELEMENTS),
        (piece, scan) -> {
          scan.load(piece.weights, piece.remainder, piece.values);
          action.run(piece, scan);
        });
  }

  private <T> void each(List<Piece> pieces, Supplier<T> perThread, BiConsumer<Piece, T> action) {
    AtomicInteger next = new AtomicInteger();
    WorkerCrew.Task task =
        _ -> {
          T own = perThread.get();
          for (int i = next.getAndIncrement(); i < pieces.size(); i = next.getAndIncrement()) {
            action.accept(pieces.get(i), own);
          }
        };
    if (shared) {
      crew.run(task, pieces.size());
    } else {
      task.run(0);
    }
  }

  private static void measure(Piece piece, MasterScan scan) {
    forEachRun(
        piece,
        scan,
        (from, to) -> {
          piece.runBytes += ChangesFile.runBytes(to - from);
          for (int i = from; i < to; i++) {
            piece.changed += scan.differs(i) ? 1 : 0;
          }
          if (piece.refused < 0) {
            piece.refused = notHeld(scan, from, to);
          }
        });
  }

  /** The first element that is to have a master which the store cannot hold; negative for none. */
  private static int notHeld(MasterScan scan, int from, int to) {
    for (int i = from; i < to; i++) {
      if (!Master.holds(scan.wanted(i))) {
        return i;
      }
    }
    return -1;
  }

  /** Part of a piece. */
  private interface RunConsumer {
    void accept(int from, int to);
  }

  /** What lies in a run but does not differ is written as it is. */
  private static void forEachRun(Piece piece, MasterScan scan, RunConsumer consumer) {
    int count = piece.count();
    for (int from = scan.next(0, count); from >= 0; ) {
      int to = from + 1;
      for (int i = to; i < count && i - to < GAP; i++) {
        if (scan.differs(i)) {
          to = i + 1;
        }
      }
      consumer.accept(from, to);
      from = scan.next(to, count);
    }
  }

  /** How many elements differ. */
  public long count() {
    return different.stream().mapToLong(piece -> piece.changed).sum();
  }

  /** What their runs take, in bytes. */
  public long runBytes() {
    return different.stream().mapToLong(piece -> piece.runBytes).sum();
  }

  /**
   * Checks that the store can hold every value that differs.
   *
   * @throws IllegalArgumentException naming the first that it cannot
   */
  public void requireHeld() {
    for (Piece piece : different) {
      if (piece.refused >= 0) {
        throw NotHeld.refusal(
            "weight",
            files.layout().layout().tensors().get(piece.tensor).name(),
            piece.from + piece.refused,
            piece.values.get(piece.refused));
      }
    }
  }

  /**
   * Writes the runs.
   *
   * @param runs room for {@link #runBytes}
   * @throws IllegalStateException if the values are no longer what was compared
   */
  public void write(MemorySegment runs) {
    long at = 0;
    for (Piece piece : different) {
      piece.offset = at;
      at += piece.runBytes;
    }
    scan((piece, scan) -> write(piece, scan, runs.asSlice(piece.offset, piece.runBytes)));
  }

  private static void write(Piece piece, MasterScan scan, MemorySegment runs) {
    long[] at = {0};
    forEachRun(
        piece,
        scan,
        (from, to) -> {
          long end = at[0] + ChangesFile.runBytes(to - from);
          piece.requireUnchanged(end <= runs.byteSize() && notHeld(scan, from, to) < 0);
          scan.copyWanted(
              from, ChangesFile.putRun(runs, at[0], piece.tensor, piece.from + from, to - from));
          at[0] = end;
        });
    piece.requireUnchanged(at[0] == runs.byteSize());
  }

  /** Consecutive elements of a tensor. */
  private final class Piece {
    private final int tensor;
    private final long from;
    private final MemorySegment weights;
    private final MemorySegment remainder;
    private final GradientValues values;

    private boolean differs;

    /** The first that the store cannot hold; negative for none. */
    private int refused = -1;

    private long changed;
    private long runBytes;
    private long offset;

    Piece(
        int tensor,
        long from,
        MemorySegment weights,
        MemorySegment remainder,
        GradientValues values) {
      this.tensor = tensor;
      this.from = from;
      this.weights = weights;
      this.remainder = remainder;
      this.values = values;
    }

    int count() {
      return (int) values.count();
    }

    void compare(MasterConversion masters) {
      differs = masters.mismatch(weights, remainder, values) != MasterConversion.EQUAL;
    }

    void requireUnchanged(boolean unchanged) {
      if (!unchanged) {
        throw new IllegalStateException(
            "weight of "
                + files.layout().layout().tensors().get(tensor).name()
                + " was changed by somebody else while it was read; nothing has been changed here");
      }
    }
  }
}
