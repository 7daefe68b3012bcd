package dev.lionstore.crash.probe;

import dev.lionstore.kernel.TensorStep;
import dev.lionstore.kernel.Undo;
import dev.lionstore.os.MappedFile;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.file.ProgressFile;
import java.lang.foreign.MemorySegment;

/** Reports every change of a step's progress. */
final class ProbedProgress extends ProgressFile {
  private final ProtocolPoints points;
  private final Fault fault;
  private volatile boolean marked;

  ProbedProgress(MappedFile file, StoreLayout layout, ProtocolPoints points, Fault fault) {
    super(file, layout);
    this.points = points;
    this.fault = fault;
  }

  @Override
  public void tieTo(long mark) {
    points.reached("progress: before its mark");
    super.tieTo(mark);
    marked = true;
    points.reached("progress: marked");
  }

  @Override
  public void countChange() {
    super.countChange();
    points.reached("progress: change counted");
  }

  @Override
  public Undo undo(MemorySegment memory, long wordOffset, long unitsOffset) {
    return new ProbedUndo(memory, wordOffset, unitsOffset);
  }

  @Override
  public void clear(int workers) {
    points.reached("progress: before it is cleared");
    super.clear(workers);
    points.reached("progress: cleared");
  }

  @Override
  public void stamp(int chunk, long mark) {
    points.reached("chunk: before its stamp");
    super.stamp(chunk, mark);
    points.reached("chunk: stamped");
  }

  @Override
  public long stamp(int chunk) {
    boolean recovering = !marked;
    return switch (fault) {
      case APPLIED_TWICE -> recovering ? 0 : super.stamp(chunk);
      case LATER_STEP_IGNORED -> marked ? super.stamp(chunk) : 0;
      default -> super.stamp(chunk);
    };
  }

  @Override
  public int chunkInHand(int worker, long nextStep) {
    return fault == Fault.LATER_STEP_IGNORED ? -1 : super.chunkInHand(worker, nextStep);
  }

  /** Reports every change of what is saved. */
  private final class ProbedUndo extends Undo {
    ProbedUndo(MemorySegment memory, long wordOffset, long unitsOffset) {
      super(memory, wordOffset, unitsOffset);
    }

    @Override
    public void begin(long word, long from) {
      if (fault == Fault.STAMP_BEFORE_DATA) {
        ProbedProgress.super.stamp(chunk(word), mark());
      }
      super.begin(word, from);
    }

    @Override
    public void save(TensorStep tensor, long from, int count) {
      points.reached("unit: before it is saved");
      if (fault == Fault.UNIT_NOT_SAVED) {
        setWord(word(from) + count);
      } else {
        super.save(tensor, from, count);
      }
    }

    @Override
    public void setWord(long word) {
      points.reached("unit: saved");
      super.setWord(word);
      points.reached("unit: named");
    }

    @Override
    public void restore(TensorStep tensor, long from, int count) {
      points.reached("unit: before it is restored");
      super.restore(tensor, from, count);
      points.reached("unit: restored");
    }
  }
}
