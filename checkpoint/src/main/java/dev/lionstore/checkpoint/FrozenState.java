package dev.lionstore.checkpoint;

import dev.lionstore.TensorSpec;
import dev.lionstore.rule.Plane;
import dev.lionstore.state.StateView;
import dev.lionstore.state.StoreLayout;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/** What a state was when this was made; its values still alias it. */
final class FrozenState implements StateView {
  private final StateView state;
  private final long step;
  private final byte[] position;
  private final long[] stepCounts;
  private final List<Map<Plane, MemorySegment>> values = new ArrayList<>();

  FrozenState(StateView state) {
    this.state = state;
    this.step = state.step();
    this.position = state.position();
    this.stepCounts =
        IntStream.range(0, state.layout().tensors().size()).mapToLong(state::stepCount).toArray();
    for (int t = 0; t < state.layout().tensors().size(); t++) {
      TensorSpec tensor = state.layout().tensors().get(t);
      Map<Plane, MemorySegment> planes = new HashMap<>();
      for (Plane plane : state.layout().planesOf(tensor)) {
        planes.put(plane, state.values(plane, t));
      }
      values.add(planes);
    }
  }

  @Override
  public Path directory() {
    return state.directory();
  }

  @Override
  public StoreLayout layout() {
    return state.layout();
  }

  @Override
  public long step() {
    return step;
  }

  @Override
  public long stepCount(int tensor) {
    return stepCounts[tensor];
  }

  @Override
  public byte[] position() {
    return position.clone();
  }

  @Override
  public MemorySegment values(Plane plane, int tensor) {
    return values.get(tensor).getOrDefault(plane, MemorySegment.NULL);
  }

  @Override
  public void requireUnchanged() throws IOException {
    state.requireUnchanged();
  }
}
