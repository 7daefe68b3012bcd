package dev.lionstore.python;

import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.Bf16;
import dev.lionstore.rule.Lion;
import dev.lionstore.rule.Master;
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
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/** A store that a PyTorch optimizer steps; tensors have the plan's numbers. */
final class OpenStore implements AutoCloseable {
  private static final int PIECE_ELEMENTS = 1 << 18;
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

  void put(long tensor, long type, long address) {
    store.putGradient(index(tensor), values(tensor, type, address));
  }

  void putAll(long[] tensors, long[] types, long[] addresses) {
    IntStream.range(0, tensors.length)
        .parallel()
        .forEach(i -> put(tensors[i], types[i], addresses[i]));
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

  long finishStreaming(StepArguments arguments) throws IOException {
    StepResult.Applied applied = streaming().finish();
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

  /** Copies the exact masters of tensors into float32 memory, on every core. */
  void copyMasters(long[] tensors, long[] addresses) {
    for (int i = 0; i < tensors.length; i++) {
      int tensor = index(tensors[i]);
      long count = count(tensor);
      MemorySegment to = Native.at(addresses[i], count * Float.BYTES);
      LongStream.range(0, Math.ceilDiv(count, (long) PIECE_ELEMENTS))
          .parallel()
          .forEach(piece -> {
            long from = piece * PIECE_ELEMENTS;
            long elements = Math.min(PIECE_ELEMENTS, count - from);
            store.copyMaster(tensor, from, to.asSlice(from * Float.BYTES, elements * Float.BYTES));
          });
    }
  }

  /** Replaces masters, exactly, without a step. */
  void setMasters(long[] tensors, long[] types, long[] addresses) throws IOException {
    store.refresh(
        store.step(),
        store.position(),
        planes -> {
          for (int i = 0; i < tensors.length; i++) {
            int tensor = index(tensors[i]);
            MemorySegment weights = planes.of(Plane.WEIGHTS, tensor);
            MemorySegment remainder = planes.of(Plane.REMAINDER, tensor);
            GradientValues values = values(tensors[i], types[i], addresses[i]);
            for (long e = 0; e < values.count(); e++) {
              int bits = Float.floatToRawIntBits(values.get(e));
              weights.set(I16, 2 * e, Master.weights(bits));
              remainder.set(I16, 2 * e, Master.remainder(bits));
            }
          }
        });
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

  /** Replaces momenta by values rounded to nearest, without a step. */
  void setMomenta(long[] tensors, long[] types, long[] addresses) throws IOException {
    store.refresh(
        store.step(),
        store.position(),
        planes -> {
          for (int i = 0; i < tensors.length; i++) {
            MemorySegment momentum = planes.of(Lion.MOMENTUM, index(tensors[i]));
            GradientValues values = values(tensors[i], types[i], addresses[i]);
            for (long e = 0; e < values.count(); e++) {
              momentum.set(I16, 2 * e, Bf16.nearest(values.get(e)));
            }
          }
        });
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
