package dev.lionstore.crash.probe;

import dev.lionstore.kernel.TensorStep;
import dev.lionstore.os.MappedFile;
import dev.lionstore.store.file.ChunkUndoFile;
import dev.lionstore.store.file.LayoutFile;

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
  public void tieTo(long mark) {
    super.tieTo(mark);
    points.reached("undo: marked");
  }

  @Override
  public void save(int worker, TensorStep tensor, long from, int count) {
    points.reached("chunk: before it is saved");
    if (fault != Fault.CHUNK_NOT_SAVED) {
      super.save(worker, tensor, from, count);
    }
  }

  @Override
  public void restore(int worker, TensorStep tensor, long from, int count) {
    points.reached("chunk: before it is restored");
    super.restore(worker, tensor, from, count);
    points.reached("chunk: restored");
  }
}
