package dev.lionstore.store;

import dev.lionstore.mapping.MappedFile;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** Reports every change of what is saved for a device. */
final class ProbedChunkUndo extends ChunkUndoFile {
  private final ProtocolPoints points;
  private final Fault fault;

  ProbedChunkUndo(MappedFile file, LayoutFile layout, ProtocolPoints points, Fault fault) {
    super(file, layout);
    this.points = points;
    this.fault = fault;
  }

  @Override
  void expect(long mark) {
    super.expect(mark);
    points.reached("undo: marked");
  }

  @Override
  void save(int worker, List<MemorySegment> planes, long from, int count) {
    points.reached("chunk: before it is saved");
    if (fault != Fault.CHUNK_NOT_SAVED) {
      super.save(worker, planes, from, count);
    }
  }

  @Override
  void restore(int worker, List<MemorySegment> planes, long from, int count) {
    points.reached("chunk: before it is restored");
    super.restore(worker, planes, from, count);
    points.reached("chunk: restored");
  }
}
