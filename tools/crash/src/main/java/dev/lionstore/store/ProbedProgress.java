package dev.lionstore.store;

import dev.lionstore.mapping.MappedFile;
import java.lang.foreign.MemorySegment;
import java.util.List;

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
  void expect(long mark) {
    points.reached("progress: before its mark");
    super.expect(mark);
    marked = true;
    points.reached("progress: marked");
  }

  @Override
  void save(int worker, List<MemorySegment> planes, int unit, long from) {
    points.reached("unit: before it is saved");
    if (fault != Fault.UNIT_NOT_SAVED) {
      super.save(worker, planes, unit, from);
    }
    points.reached("unit: saved");
  }

  @Override
  void restore(int worker, List<MemorySegment> planes, int unit, long from) {
    points.reached("unit: before it is restored");
    super.restore(worker, planes, unit, from);
    points.reached("unit: restored");
  }

  @Override
  void setProgress(int worker, long nextStep, int chunk, int unit) {
    if (fault == Fault.STAMP_BEFORE_DATA && unit == 0) {
      super.stamp(chunk, mark());
    }
    super.setProgress(worker, nextStep, chunk, unit);
    points.reached("unit: named");
  }

  @Override
  void clear(int workers) {
    points.reached("progress: before it is cleared");
    super.clear(workers);
    points.reached("progress: cleared");
  }

  @Override
  void stamp(int chunk, long mark) {
    points.reached("chunk: before its stamp");
    super.stamp(chunk, mark);
    points.reached("chunk: stamped");
  }

  @Override
  long stamp(int chunk) {
    boolean recovering = !marked;
    return switch (fault) {
      case APPLIED_TWICE -> recovering ? 0 : super.stamp(chunk);
      case LATER_STEP_IGNORED -> marked ? super.stamp(chunk) : 0;
      default -> super.stamp(chunk);
    };
  }

  @Override
  int chunkInHand(int worker, long nextStep) {
    return fault == Fault.LATER_STEP_IGNORED ? -1 : super.chunkInHand(worker, nextStep);
  }
}
