package dev.lionstore.store.step;

import dev.lionstore.kernel.MasterConversion;
import dev.lionstore.rule.Plane;
import dev.lionstore.state.StateView;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Copies exact masters to where somebody computes with them, by all threads that may write there.
 */
public final class MasterCopy {
  private static final int PIECE_ELEMENTS = 1 << 17;

  private record Piece(MemorySegment weights, MemorySegment remainder, MemorySegment to) {}

  private MasterCopy() {}

  /**
   * Copies.
   *
   * @param to room for all of each tensor's elements, by the tensors' indexes in the layout
   */
  public static void run(
      StateView view, MasterConversion masters, WorkerCrew crew, Map<Integer, MemorySegment> to) {
    List<Piece> pieces = new ArrayList<>();
    to.forEach((tensor, room) -> cut(view, tensor, room, pieces));
    AtomicInteger next = new AtomicInteger();
    WorkerCrew.Task task =
        _ -> {
          for (int i = next.getAndIncrement(); i < pieces.size(); i = next.getAndIncrement()) {
            Piece piece = pieces.get(i);
            masters.join(piece.weights(), piece.remainder(), piece.to());
          }
        };
    if (crew.mayRead(to.values().stream())) {
      crew.run(task, pieces.size());
    } else {
      task.run(0);
    }
  }

  private static void cut(StateView view, int tensor, MemorySegment to, List<Piece> pieces) {
    MemorySegment weights = view.values(Plane.WEIGHTS, tensor);
    MemorySegment remainder = view.values(Plane.REMAINDER, tensor);
    long count = view.layout().tensors().get(tensor).count();
    if (to.byteSize() != count * Float.BYTES) {
      throw new IllegalArgumentException(
          "room for tensor "
              + view.layout().tensors().get(tensor).name()
              + " is "
              + to.byteSize()
              + " bytes, expected "
              + count * Float.BYTES);
    }
    for (long from = 0; from < count; from += PIECE_ELEMENTS) {
      long elements = Math.min(PIECE_ELEMENTS, count - from);
      pieces.add(
          new Piece(
              weights.asSlice(2 * from, 2 * elements),
              remainder.asSlice(2 * from, 2 * elements),
              to.asSlice(4 * from, 4 * elements)));
    }
  }
}
