package dev.lionstore.crash.probe;

import dev.lionstore.os.DirectAccess;
import dev.lionstore.store.file.DirectPlanes;
import dev.lionstore.store.file.Geometry;
import dev.lionstore.store.file.PlaneFile;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** Reports before, amid and after what is written past the page cache. */
final class ProbedDirectPlanes extends DirectPlanes {
  private final ProtocolPoints points;

  ProbedDirectPlanes(
      List<DirectAccess> files, List<PlaneFile> planes, Geometry geometry, ProtocolPoints points) {
    super(files, planes, geometry);
    this.points = points;
  }

  @Override
  public void write(MemorySegment place, int plane, int tensor, long from) throws IOException {
    points.reached("direct: before it is written");
    MemorySegment half = place.asSlice(0, place.byteSize() / 2);
    if (half.byteSize() > 0) {
      super.write(half, plane, tensor, from);
      points.reached("direct: half written");
    }
    super.write(place, plane, tensor, from);
    points.reached("direct: written");
  }
}
