package dev.lionstore.measure.roof;

import dev.lionstore.measure.workload.Sweep;
import dev.lionstore.measure.workload.TensorPlanes;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * Four streams read, three written in place, by the JDK's copy routine through a piece that stays
 * in the first-level cache. The values stay what they are.
 */
public final class CopyRoof implements Sweep {
  private final List<MemorySegment> state;
  private final MemorySegment gradient;
  private final MemorySegment piece;

  /**
   * A roof for one thread.
   *
   * @param pieceBytes what is copied at once of each stream
   */
  public CopyRoof(TensorPlanes planes, int pieceBytes) {
    state = planes.state();
    gradient = planes.gradient().data();
    piece = Arena.ofAuto().allocate(pieceBytes, 4096);
  }

  @Override
  public void run(long from, long to) {
    for (long at = 2 * from; at < 2 * to; at += piece.byteSize()) {
      long bytes = Math.min(piece.byteSize(), 2 * to - at);
      MemorySegment.copy(gradient, at, piece, 0, bytes);
      for (int p = 0; p < state.size(); p++) {
        MemorySegment plane = state.get(p);
        MemorySegment.copy(plane, at, piece, 0, bytes);
        MemorySegment.copy(piece, 0, plane, at, bytes);
      }
    }
  }
}
