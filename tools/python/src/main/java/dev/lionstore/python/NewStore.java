package dev.lionstore.python;

import dev.lionstore.TensorSpec;
import dev.lionstore.checkpoint.CarriedContent;
import dev.lionstore.checkpoint.Origin;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.Plane;
import dev.lionstore.safetensors.SafetensorsType;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StoreBuilder;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** A store that is being made from a model in memory; parameters have the plan's numbers. */
final class NewStore implements AutoCloseable {
  private final StoreBuilder builder;
  private final Placement placement;
  private long step;
  private byte[] position = new byte[0];
  private final long[] stepCounts;
  private Origin origin = Origin.NONE;
  private final Map<String, SafetensorsType> types = new HashMap<>();
  private final Set<String> kept = new HashSet<>();

  private NewStore(StoreBuilder builder, Plan plan) {
    this.builder = builder;
    this.placement = plan.placementIn(builder.layout());
    this.stepCounts = new long[builder.layout().tensors().size()];
  }

  static NewStore create(Plan plan, Path directory) throws IOException {
    return create(plan, plan.layout(), directory, plan.positionCapacity());
  }

  private static NewStore create(
      Plan plan, StoreLayout layout, Path directory, int positionCapacity) throws IOException {
    StoreBuilder builder =
        StoreBuilder.create(
            directory, layout, StoreBuilder.DEFAULT_CHUNK_ELEMENTS, positionCapacity);
    return new NewStore(builder, plan);
  }

  /** Begins the successor of an open store, with its state as far as the plan has it. */
  static NewStore succeeding(StateStore store, Plan plan) throws IOException {
    Succession succession = new Succession(store.directory());
    int positionCapacity = Math.max(plan.positionCapacity(), store.position().length);
    NewStore successor =
        create(plan, plan.layoutLike(store.layout()), succession.successor(), positionCapacity);
    try {
      successor.copy(store);
      try (CarriedContent carried = CarriedContent.ofStore(store)) {
        CarriedContent others = carried.withParameters(successor.adopt(carried));
        successor.carry(others);
        successor.origin = others.origin();
      }
      return successor;
    } catch (IOException | RuntimeException | Error e) {
      successor.close();
      throw e;
    }
  }

  private void copy(StateStore store) {
    StoreLayout to = builder.layout();
    Map<String, Integer> indexes = indexes(store.layout());
    for (int t = 0; t < to.tensors().size(); t++) {
      Integer from = indexes.get(to.tensors().get(t).name());
      if (from != null) {
        TensorSpec tensor = to.tensors().get(t);
        TensorSpec old = store.layout().tensors().get(from);
        kept.add(tensor.name());
        stepCounts[t] = old.trainable() ? store.stepCount(from) : 0;
        List<Plane> planes = to.planesOf(tensor);
        List<Plane> there = store.layout().planesOf(old);
        // What was frozen has no momentum, and what has another rule no use for it: it begins at
        // zero. A plane may be called otherwise in a store of other rules.
        boolean hasItsStates = to.ruleOf(tensor).equals(store.layout().ruleOf(old));
        int count = hasItsStates ? Math.min(planes.size(), there.size()) : Plane.MASTER.size();
        for (int p = 0; p < count; p++) {
          MemorySegment values = store.values(there.get(p), from);
          MemorySegment.copy(values, 0, builder.values(planes.get(p), t), 0, values.byteSize());
        }
      }
    }
    step = store.step();
    position = store.position();
  }

  /** Takes parameters that the old store carried; gives their names. */
  private Set<String> adopt(CarriedContent carried) {
    Set<String> adopted = new HashSet<>();
    StoreLayout to = builder.layout();
    for (int t = 0; t < to.tensors().size(); t++) {
      TensorSpec tensor = to.tensors().get(t);
      Optional<GradientValues> values = carried.values(tensor.name(), tensor.shape());
      if (values.isPresent() && !kept.contains(tensor.name())) {
        builder.setMaster(t, values.get());
        adopted.add(tensor.name());
      }
    }
    kept.addAll(adopted);
    return adopted;
  }

  private static Map<String, Integer> indexes(StoreLayout layout) {
    Map<String, Integer> indexes = new HashMap<>();
    for (int t = 0; t < layout.tensors().size(); t++) {
      indexes.put(layout.tensors().get(t).name(), t);
    }
    return indexes;
  }

  /** Puts files of the model beside it, for snapshots. */
  void carry(CarriedContent carried) throws IOException {
    carried.writeContentInto(builder.directory());
  }

  /** Puts a file beside the model that is in no folder. */
  void carry(String name, byte[] content) throws IOException {
    CarriedContent.writeFile(builder.directory(), name, content);
  }

  /** What the model's files are called when it leaves. */
  void setBaseName(String name) {
    origin = origin.withBaseName(name);
  }

  /** What else a parameter is called when the model leaves. */
  void setTied(String name, String parameter) {
    origin = origin.withTied(name, parameter);
  }

  /** Sets masters; a tensor that is new leaves in the type of these values. */
  void setMaster(long parameter, long type, long address) {
    GradientValues whole = values(parameter, type, address);
    for (Placement.Part part : placement.parts(parameter)) {
      builder.setMaster(part.tensor(), part.of(whole));
      String name = builder.layout().tensors().get(part.tensor()).name();
      if (!kept.contains(name)) {
        types.put(name, SafetensorsType.valueOf(whole.type().name()));
      }
    }
  }

  void setState(long parameter, int plane, long type, long address) {
    GradientValues whole = values(parameter, type, address);
    for (Placement.Part part : placement.parts(parameter)) {
      TensorSpec tensor = builder.layout().tensors().get(part.tensor());
      Plane state = builder.layout().ruleOf(tensor).statePlanes().get(plane);
      builder.setState(part.tensor(), state, part.of(whole));
    }
  }

  /** What is not set has taken as many as in the predecessor; what is new has taken none. */
  void setStepCount(long parameter, long count) {
    for (Placement.Part part : placement.parts(parameter)) {
      stepCounts[part.tensor()] = count;
    }
  }

  private GradientValues values(long parameter, long type, long address) {
    return Native.values(type, address, placement.count(parameter));
  }

  /** What the finished store is at, instead of step 0 or of where its predecessor was. */
  void setProgress(long itsStep, byte[] itsPosition) {
    builder.requireProgress(itsStep, itsPosition);
    step = itsStep;
    position = itsPosition;
  }

  void finish() throws IOException {
    origin.withTypes(types).writeInto(builder.directory());
    builder.finish(step, t -> stepCounts[t], position);
  }

  @Override
  public void close() throws IOException {
    builder.close();
  }
}
