package dev.lionstore.crash.probe;

import dev.lionstore.os.MappedFile;
import dev.lionstore.rule.Plane;
import dev.lionstore.store.file.Mark;
import dev.lionstore.store.file.PlaneFile;

/** Reports every change of a plane's first page. */
final class ProbedPlane extends PlaneFile {
  private final ProtocolPoints points;
  private final Fault fault;

  ProbedPlane(MappedFile file, Plane plane, int index, ProtocolPoints points, Fault fault) {
    super(file, plane, index);
    this.points = points;
    this.fault = fault;
  }

  @Override
  public void publish(long step) {
    points.reached("plane: before its step");
    super.publish(step);
    points.reached("plane: published");
  }

  @Override
  public void tieTo(long mark) {
    points.reached("plane: before its mark");
    super.tieTo(mark);
    points.reached("plane: marked");
  }

  @Override
  public long begun() {
    return fault == Fault.LATER_STEP_IGNORED ? Mark.NONE : super.begun();
  }

  @Override
  public void markBegun(long mark) {
    points.reached("plane: before it begins");
    super.markBegun(mark);
    points.reached("plane: begun");
  }
}
