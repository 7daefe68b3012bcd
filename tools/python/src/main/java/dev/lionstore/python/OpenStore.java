package dev.lionstore.python;

import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.Bf16;
import dev.lionstore.rule.Lion;
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

/** A store that a PyTorch optimizer steps; tensors have the plan's numbers. */
final class OpenStore implements AutoCloseable {
  private static final ValueLayout.OfShort I16 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final StateStore store;
  private final int[] indexes;
  private final List<String> groupNames;
  private @Nullable StreamingStep streaming;
  private @Nullable BackgroundSnapshot snapshot;

  private OpenStore(StateStore store, Plan plan) {
    this.store = store;
    this.indexes = plan.indexesIn(store.layout());
    this.groupNames = plan.groupNames();
  }

  /**
   * Opens a store and checks that it is the plan's.
   *
   * @throws Failure.MismatchException naming what differs
   */
  static OpenStore open(Plan plan, Path directory, StoreOptions options) throws IOException {
    StateStore store = StateStore.open(directory, options);
    try {
      plan.requireFits(store.layout(), directory);
      return new OpenStore(store, plan);
    } catch (RuntimeException e) {
      store.close();
      throw e;
    }
  }

  /** The store of a number. */
  static OpenStore of(long handle) {
    return Handles.get(OpenStore.class, handle);
  }

  /** What a step is called with, where Python has it. */
  StepArguments arguments(long address) {
    return new StepArguments(address, groupNames);
  }

  StateStore store() {
    return store;
  }

  /** Where the weights that a model computes with are, and stay until the store is closed. */
  long weightsAddress(long tensor) {
    return store.values(Plane.WEIGHTS, index(tensor)).address();
  }

  /** Where they are in the file of the plane, for a process that maps it itself. */
  long weightsOffset(long tensor) {
    return store.fileOffset(Plane.WEIGHTS, index(tensor));
  }

  void put(long tensor, long type, long address) {
    store.putGradient(index(tensor), values(tensor, type, address));
  }

  void putAll(long[] tensors, long[] types, long[] addresses) {
    store.putGradients(valuesOf(tensors, types, addresses));
  }

  /** Puts the gradient that the plane still holds of a tensor again. */
  void putKept(long tensor) {
    store.putKept(index(tensor));
  }

  /** Copies the gradient that the plane holds of a tensor, in the plane's type. */
  void copyGradient(long tensor, long address) {
    int bytes =
        switch (store.layout().gradientPlane()) {
          case BF16 -> Short.BYTES;
          case F32, NONE -> Float.BYTES;
        };
    store.copyGradient(index(tensor), Native.at(address, count(index(tensor)) * bytes));
  }

  void accumulate(long tensor, long type, long address) {
    store.accumulateGradient(index(tensor), values(tensor, type, address));
  }

  /** Puts a gradient's norm, before anything scales it, where Python has a double for it. */
  void copyNorm(long tensor, long address) {
    Native.at(address, Double.BYTES)
        .set(ValueLayout.JAVA_DOUBLE, 0, Math.sqrt(store.sumOfSquares(index(tensor))));
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

  void stream(long tensor, long type, long address) throws IOException {
    Optional<StepResult.Refused> refused =
        streaming().step(index(tensor), values(tensor, type, address));
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

  /** Copies the exact masters of tensors into float32 memory. */
  void copyMasters(long[] tensors, long[] addresses) {
    Map<Integer, MemorySegment> rooms = new HashMap<>();
    for (int i = 0; i < tensors.length; i++) {
      int tensor = index(tensors[i]);
      rooms.put(tensor, Native.at(addresses[i], count(tensor) * Float.BYTES));
    }
    store.copyMasters(rooms);
  }

  /** Makes what differs from what the store has given its masters; gives how many elements. */
  long takeOver(long[] tensors, long[] types, long[] addresses) throws IOException {
    return store.changeMasters(valuesOf(tensors, types, addresses));
  }

  private Map<Integer, GradientValues> valuesOf(long[] tensors, long[] types, long[] addresses) {
    Map<Integer, GradientValues> values = new HashMap<>();
    for (int i = 0; i < tensors.length; i++) {
      values.put(index(tensors[i]), values(tensors[i], types[i], addresses[i]));
    }
    return values;
  }

  /** Copies a momentum, as bfloat16, into float32 memory. */
  void copyMomentum(long tensor, long address) {
    MemorySegment momentum = store.values(Lion.MOMENTUM, index(tensor));
    GradientValues to = values(tensor, 0, address);
    for (long e = 0; e < to.count(); e++) {
      to.data()
          .set(ValueLayout.JAVA_FLOAT_UNALIGNED, 4 * e, Bf16.toFloat(momentum.get(I16, 2 * e)));
    }
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

  private GradientValues values(long tensor, long type, long address) {
    return Native.values(type, address, count(index(tensor)));
  }

  private long count(int tensor) {
    return store.layout().tensors().get(tensor).count();
  }

  private int index(long tensor) {
    return indexes[Math.toIntExact(tensor)];
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
