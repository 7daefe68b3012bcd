package dev.lionstore.store;

import dev.lionstore.mapping.MappedFile;
import dev.lionstore.rule.Plane;

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
  void publish(long step) {
    points.reached("plane: before its step");
    super.publish(step);
    points.reached("plane: published");
  }

  @Override
  void expect(long mark) {
    points.reached("plane: before its mark");
    super.expect(mark);
    points.reached("plane: marked");
  }

  @Override
  long begun() {
    return fault == Fault.LATER_STEP_IGNORED ? Mark.NONE : super.begun();
  }

  @Override
  void begin(long mark) {
    points.reached("plane: before it begins");
    super.begin(mark);
    points.reached("plane: begun");
  }
}
