package dev.lionstore.opencl;

import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.TensorStep;
import java.util.ArrayDeque;
import java.util.Deque;

/** Steps pieces that go to the device and come back, several on their way at once. */
final class StreamingStepper extends CpuAssistedStepper {
  private final LanePool pool;

  StreamingStepper(LanePool pool, Kernel.Stepper cpu) {
    super(cpu);
    this.pool = pool;
  }

  @Override
  public void apply(TensorStep tensor, long from, int count) {
    Deque<Lane> busy = new ArrayDeque<>();
    Deque<Lane> held = new ArrayDeque<>();
    try {
      int most = 0;
      for (int done = 0; done < count; done += most) {
        Lane lane = next(busy, held);
        most = pool.elements();
        lane.start(new Lane.Piece(tensor, from + done, Math.min(most, count - done)));
        busy.add(lane);
      }
      busy.forEach(Lane::finish);
    } finally {
      held.forEach(Lane::abandon);
      pool.giveBack(held);
    }
  }

  /** A lane that nobody has, or else the one that was begun first, when it has ended. */
  private Lane next(Deque<Lane> busy, Deque<Lane> held) {
    Lane lane = pool.tryTake().orElse(null);
    if (lane == null && !busy.isEmpty()) {
      Lane first = busy.remove();
      first.finish();
      return first;
    }
    Lane taken = lane == null ? pool.take() : lane;
    held.add(taken);
    return taken;
  }
}
