package dev.lionstore.python;

import dev.lionstore.TensorSpec;
import dev.lionstore.checkpoint.CarriedContent;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.BlockCode;
import dev.lionstore.rule.Plane;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StepResult;
import dev.lionstore.store.StoreOptions;
import dev.lionstore.store.StreamingStep;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** A store that a PyTorch optimizer steps; parameters have the plan's numbers. */
final class OpenStore implements AutoCloseable {
  private static final ValueLayout.OfShort I16 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfFloat F32 =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final StateStore store;
  private final Placement placement;
  private final List<String> groupNames;
  private @Nullable StreamingStep streaming;
  private @Nullable BackgroundSnapshot snapshot;

  private OpenStore(StateStore store, Plan plan) {
    this.store = store;
    this.placement = plan.placementIn(store.layout());
    this.groupNames = plan.groupNamesIn(store.layout());
  }

  /**
   * Opens a store and checks that it is the plan's. One that was imported is made anew if it has
   * not got the plan's groups yet, or carries what the plan has as frozen parameters.
   *
   * @throws Failure.MismatchException naming what differs
   */
  static OpenStore open(Plan plan, Path directory, StoreOptions options) throws IOException {
    StateStore store = StateStore.open(directory, options);
    try {
      boolean isUndecided = plan.isUndecidedBy(store.layout(), store.step());
      List<TensorSpec> carried = carriedBy(store, plan.missingIn(store.layout()));
      plan.requireFits(store.layout(), store.step(), carried::contains, directory);
      if (isUndecided || !carried.isEmpty()) {
        try (NewStore successor = NewStore.succeeding(store, plan)) {
          successor.finish();
        }
        store.close();
        new Succession(directory).complete();
        store = StateStore.open(directory, options);
      }
      return new OpenStore(store, plan);
    } catch (IOException | RuntimeException | Error e) {
      store.close();
      throw e;
    }
  }

  /** Those of some frozen parameters that a store carries beside its own. */
  private static List<TensorSpec> carriedBy(StateStore store, List<TensorSpec> missing)
      throws IOException {
    if (missing.isEmpty()) {
      return List.of();
    }
    try (CarriedContent carried = CarriedContent.ofStore(store)) {
      return missing.stream()
          .filter(t -> !t.trainable() && carried.values(t.name(), t.shape()).isPresent())
          .toList();
    }
  }

  /** The store of a number. */
  static OpenStore of(long handle) {
    return Handles.get(OpenStore.class, handle);
  }

  /** What a step is called with, where Python has it. */
  StepArguments arguments(long address) {
    return new StepArguments(address, store.layout(), groupNames);
  }

  StateStore store() {
    return store;
  }

  /** Copies a parameter's bfloat16 weights. */
  void copyWeights(long parameter, long address) {
    int bytes = Plane.WEIGHTS.type().blockBytes();
    MemorySegment to = Native.at(address, placement.count(parameter) * bytes);
    for (Placement.Part part : placement.parts(parameter)) {
      MemorySegment from = store.values(Plane.WEIGHTS, part.tensor());
      MemorySegment.copy(from, 0, to, part.first() * bytes, part.count() * bytes);
    }
  }

  /** Whether a parameter is one tensor of the store, so that it can have the store's memory. */
  boolean isOneTensor(long parameter) {
    return placement.parts(parameter).size() == 1;
  }

  /** Where the weights of a parameter that is one tensor are in the file of the plane. */
  long weightsOffset(long parameter) {
    return store.fileOffset(Plane.WEIGHTS, placement.parts(parameter).getFirst().tensor());
  }

  void put(long parameter, long type, long address) {
    GradientValues whole = values(parameter, type, address);
    for (Placement.Part part : placement.parts(parameter)) {
      store.gradients().put(part.tensor(), part.of(whole));
    }
  }

  void putAll(long[] parameters, long[] types, long[] addresses) {
    store.gradients().putAll(valuesOf(parameters, types, addresses));
  }

  /** Puts the gradient that the plane still holds of a parameter again. */
  void putKept(long parameter) {
    for (Placement.Part part : placement.parts(parameter)) {
      store.gradients().putKept(part.tensor());
    }
  }

  /** Copies the gradient that the plane holds of a parameter, in the plane's type. */
  void copyGradient(long parameter, long address) {
    int bytes =
        switch (store.layout().gradientPlane()) {
          case BF16 -> Short.BYTES;
          case F32, NONE -> Float.BYTES;
        };
    MemorySegment whole = Native.at(address, placement.count(parameter) * bytes);
    for (Placement.Part part : placement.parts(parameter)) {
      store
          .gradients()
          .copyKept(part.tensor(), whole.asSlice(part.first() * bytes, part.count() * bytes));
    }
  }

  void accumulate(long parameter, long type, long address) {
    GradientValues whole = values(parameter, type, address);
    for (Placement.Part part : placement.parts(parameter)) {
      store.gradients().accumulate(part.tensor(), part.of(whole));
    }
  }

  /** Puts a gradient's norm, before anything scales it, where Python has a double for it. */
  void copyNorm(long parameter, long address) {
    double squares = 0;
    for (Placement.Part part : placement.parts(parameter)) {
      squares += store.gradients().sumOfSquares(part.tensor());
    }
    Native.at(address, Double.BYTES).set(ValueLayout.JAVA_DOUBLE, 0, Math.sqrt(squares));
  }

  long step(StepArguments arguments, byte[] position) throws IOException {
    return switch (store.step(arguments.request(position))) {
      case StepResult.Applied applied -> {
        arguments.setResult(applied);
        yield applied.step();
      }
      case StepResult.Refused refused -> throw notFinite(refused);
    };
  }

  void beginStreaming(StepArguments arguments, byte[] position) throws IOException {
    streaming = store.beginStreaming(arguments.request(position));
  }

  /** Steps a parameter; of its tensors those whose gradient is finite. */
  void stream(long parameter, long type, long address) throws IOException {
    GradientValues whole = values(parameter, type, address);
    Optional<StepResult.Refused> refused = Optional.empty();
    for (Placement.Part part : placement.parts(parameter)) {
      Optional<StepResult.Refused> one = streaming().step(part.tensor(), part.of(whole));
      refused = refused.or(() -> one);
    }
    if (refused.isPresent()) {
      throw notFinite(refused.get());
    }
  }

  long finishStreaming(StepArguments arguments, byte[] position) throws IOException {
    StepResult.Applied applied = streaming().finish(position);
    streaming = null;
    arguments.setResult(applied);
    return applied.step();
  }

  private StreamingStep streaming() {
    if (streaming == null) {
      throw new IllegalStateException("no streaming step has begun");
    }
    return streaming;
  }

  /** Copies the exact masters of parameters into float32 memory. */
  void copyMasters(long[] parameters, long[] addresses) {
    Map<Integer, MemorySegment> rooms = new HashMap<>();
    for (int i = 0; i < parameters.length; i++) {
      long bytes = placement.count(parameters[i]) * Float.BYTES;
      MemorySegment whole = Native.at(addresses[i], bytes);
      for (Placement.Part part : placement.parts(parameters[i])) {
        rooms.put(
            part.tensor(), whole.asSlice(part.first() * Float.BYTES, part.count() * Float.BYTES));
      }
    }
    store.copyMasters(rooms);
  }

  /** Makes what differs from what the store has given its masters; gives how many elements. */
  long takeOver(long[] parameters, long[] types, long[] addresses) throws IOException {
    return store.changeMasters(valuesOf(parameters, types, addresses));
  }

  private Map<Integer, GradientValues> valuesOf(long[] parameters, long[] types, long[] addresses) {
    Map<Integer, GradientValues> values = new HashMap<>();
    for (int i = 0; i < parameters.length; i++) {
      GradientValues whole = values(parameters[i], types[i], addresses[i]);
      for (Placement.Part part : placement.parts(parameters[i])) {
        values.put(part.tensor(), part.of(whole));
      }
    }
    return values;
  }

  /** Copies one of a parameter's states, by its number in its rule, into float32 memory. */
  void copyState(long parameter, int number, long address) {
    MemorySegment to = values(parameter, 0, address).data();
    for (Placement.Part part : placement.parts(parameter)) {
      TensorSpec tensor = store.layout().tensors().get(part.tensor());
      Plane plane = store.layout().ruleOf(tensor).statePlanes().get(number);
      MemorySegment from = store.values(plane, part.tensor());
      switch (plane.type()) {
        case F32 ->
            MemorySegment.copy(from, 0, to, part.first() * Float.BYTES, part.count() * Float.BYTES);
        case BF16, I16 -> {
          for (long e = 0; e < part.count(); e++) {
            to.set(F32, 4 * (part.first() + e), plane.read(from.get(I16, 2 * e)));
          }
        }
        case I8, U8 -> {
          BlockCode code = new BlockCode(plane.type());
          for (long e = 0; e < part.count(); e++) {
            to.set(F32, 4 * (part.first() + e), code.value(from, e));
          }
        }
      }
    }
  }

  /** How many steps a parameter has taken: of its tensors, the one that has taken the most. */
  long stepCount(long parameter) {
    return placement.parts(parameter).stream()
        .mapToLong(part -> store.stepCount(part.tensor()))
        .max()
        .orElse(0);
  }

  /**
   * Begins a snapshot, once the one before it has ended.
   *
   * @param keep how many are kept in its folder; 0: all
   */
  void beginSnapshot(Path folder, Map<String, byte[]> extras, int keep) throws IOException {
    awaitSnapshot();
    snapshot = BackgroundSnapshot.begin(store, folder, extras, keep);
  }

  /** Whether no snapshot is being taken. */
  boolean isSnapshotDone() {
    return snapshot == null || snapshot.isDone();
  }

  /**
   * Waits for the snapshot that is being taken; gives what is to be told of it, nothing if none.
   */
  String awaitSnapshot() throws IOException {
    BackgroundSnapshot awaited = snapshot;
    snapshot = null;
    return awaited == null ? "" : awaited.await();
  }

  private GradientValues values(long parameter, long type, long address) {
    return Native.values(type, address, placement.count(parameter));
  }

  private static Failure.NotFiniteException notFinite(StepResult.Refused refused) {
    return new Failure.NotFiniteException(
        "gradient of "
            + refused.tensor()
            + ": element "
            + refused.index()
            + " is "
            + refused.value());
  }

  @Override
  public void close() throws IOException {
    try (store) {
      awaitSnapshot();
    }
  }
}
