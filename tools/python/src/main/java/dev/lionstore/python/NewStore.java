package dev.lionstore.python;

import dev.lionstore.checkpoint.Carried;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.Plane;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StoreBuilder;
import dev.lionstore.store.StoreLayout;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;

/** A store that is being made from a model in memory; tensors have the plan's numbers. */
final class NewStore implements AutoCloseable {
  private final StoreBuilder builder;
  private final int[] indexes;
  private long step;
  private byte[] position = new byte[0];

  private NewStore(StoreBuilder builder, int[] indexes) {
    this.builder = builder;
    this.indexes = indexes;
  }

  static NewStore create(Plan plan, Path directory) throws IOException {
    return create(plan, directory, plan.positionCapacity());
  }

  private static NewStore create(Plan plan, Path directory, int positionCapacity)
      throws IOException {
    StoreBuilder builder =
        StoreBuilder.create(
            directory, plan.layout(), StoreBuilder.DEFAULT_CHUNK_ELEMENTS, positionCapacity);
    return new NewStore(builder, plan.indexesIn(builder.layout()));
  }

  /** Begins the successor of an open store, with its state as far as the plan has it. */
  static NewStore succeeding(OpenStore old, Plan plan) throws IOException {
    StateStore store = old.store();
    Succession succession = new Succession(store.directory());
    int positionCapacity = Math.max(plan.positionCapacity(), store.position().length);
    NewStore successor = create(plan, succession.successor(), positionCapacity);
    try {
      successor.copy(store);
      try (Carried carried = Carried.ofStore(store)) {
        successor.carry(carried);
      }
      return successor;
    } catch (IOException | RuntimeException | Error e) {
      successor.close();
      throw e;
    }
  }

  private void copy(StateStore store) {
    StoreLayout to = builder.layout();
    for (int t = 0; t < to.tensors().size(); t++) {
      int from = indexOf(store.layout(), to.tensors().get(t).name());
      if (from >= 0) {
        for (Plane plane : to.planesOf(to.tensors().get(t))) {
          // A tensor that was frozen has no momentum: it begins at zero.
          MemorySegment values = store.values(plane, from);
          MemorySegment.copy(values, 0, builder.values(plane, t), 0, values.byteSize());
        }
      }
    }
    step = store.step();
    position = store.position();
  }

  private static int indexOf(StoreLayout layout, String name) {
    for (int t = 0; t < layout.tensors().size(); t++) {
      if (layout.tensors().get(t).name().equals(name)) {
        return t;
      }
    }
    return -1;
  }

  /** Puts files of the model beside it, for snapshots. */
  void carry(Carried carried) throws IOException {
    carried.writeInto(builder.directory());
  }

  void setMaster(long tensor, long type, long address) {
    int index = indexes[Math.toIntExact(tensor)];
    builder.setMaster(index, values(index, type, address));
  }

  void setMomentum(long tensor, long type, long address) {
    int index = indexes[Math.toIntExact(tensor)];
    builder.setMomentum(index, values(index, type, address));
  }

  private GradientValues values(int index, long type, long address) {
    return Native.values(type, address, builder.layout().tensors().get(index).count());
  }

  /** What the finished store is at, instead of step 0 or of where its predecessor was. */
  void setProgress(long itsStep, byte[] itsPosition) {
    builder.requireProgress(itsStep, itsPosition);
    step = itsStep;
    position = itsPosition;
  }

  void finish() throws IOException {
    builder.finish(step, position);
  }

  @Override
  public void close() throws IOException {
    builder.close();
  }
}
