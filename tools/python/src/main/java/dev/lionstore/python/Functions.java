package dev.lionstore.python;

import dev.lionstore.TensorSpec;
import dev.lionstore.checkpoint.Carried;
import dev.lionstore.checkpoint.ContentHash;
import dev.lionstore.checkpoint.Snapshot;
import dev.lionstore.store.StoreBuilder;
import dev.lionstore.store.StoreOptions;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * Every public method is a function of the {@link Abi}: it takes and gives 64-bit integers, among
 * them addresses, numbers of objects and of tensors, and text as the address and the length of its
 * UTF-8. Values below zero are never given; exceptions become such.
 */
final class Functions {
  private Functions() {}

  /** Copies what the call before has left for this thread; gives its whole length. */
  public static long take(long room, long bytes) {
    return Results.take(Native.at(room, bytes));
  }

  /** Begins to describe what is trained. */
  public static long newPlan(long rounding, long seed, long gradientPlane) {
    return Handles.add(
        new Plan(Native.rounding(rounding), seed, Native.gradientPlane(gradientPlane)));
  }

  /** Adds a parameter group to a plan. */
  public static long addGroup(long plan, long name, long nameBytes) {
    Handles.get(Plan.class, plan).addGroup(Native.text(name, nameBytes));
    return 0;
  }

  /** Adds a tensor to the group of a plan that was added last. */
  public static long addTensor(
      long plan, long name, long nameBytes, long shape, long rank, long trainable) {
    Handles.get(Plan.class, plan)
        .addTensor(
            Native.text(name, nameBytes),
            Arrays.stream(Native.longs(shape, rank)).boxed().toList(),
            trainable != 0 ? TensorSpec.Role.TRAINABLE : TensorSpec.Role.FROZEN);
    return 0;
  }

  /**
   * Whether a folder is a store, 1 or 0, once what a killed process was amid has been completed.
   */
  public static long isStore(long path, long pathBytes) throws IOException {
    new Succession(path(path, pathBytes)).recover();
    return StoreReader.isStore(path(path, pathBytes)) ? 1 : 0;
  }

  /** Begins a store for a plan. */
  public static long build(long plan, long path, long pathBytes) throws IOException {
    Plan planned = Handles.get(Plan.class, plan);
    return Handles.add(NewStore.create(planned, path(path, pathBytes)));
  }

  /** Puts a model folder's files that are no weights into a store that is being made. */
  public static long carryFiles(long building, long folder, long folderBytes) throws IOException {
    try (Carried carried = Carried.filesOf(path(folder, folderBytes))) {
      Handles.get(NewStore.class, building).carry(carried);
    }
    return 0;
  }

  /** Begins a store for a plan that takes over what an open store has of it. */
  public static long buildSuccessor(long store, long plan) throws IOException {
    return Handles.add(NewStore.succeeding(store(store), Handles.get(Plan.class, plan)));
  }

  /** Closes a store and gives its place to its successor, which has been finished. */
  public static long succeed(long store) throws IOException {
    Path place = store(store).store().directory();
    close(store);
    new Succession(place).complete();
    return 0;
  }

  /** Sets a tensor's master in a store that is being made. */
  public static long setInitial(long building, long tensor, long type, long values)
      throws IOException {
    Handles.get(NewStore.class, building).setMaster(tensor, type, values);
    return 0;
  }

  /** Puts a store that is being made in its place. */
  public static long finishBuild(long building) throws IOException {
    try (NewStore store = Handles.remove(NewStore.class, building)) {
      store.finish();
    }
    return 0;
  }

  /** Gives up a store that is being made. */
  public static long abandonBuild(long building) throws IOException {
    Handles.remove(NewStore.class, building).close();
    return 0;
  }

  /** Opens a plan's store; threads 0: all cores. */
  public static long open(
      long plan, long path, long pathBytes, long backend, long backendBytes, long threads)
      throws IOException {
    StoreOptions options = StoreOptions.defaults().withBackend(Native.text(backend, backendBytes));
    return Handles.add(
        OpenStore.open(
            Handles.get(Plan.class, plan),
            path(path, pathBytes),
            threads == 0 ? options : options.withThreads(Math.toIntExact(threads))));
  }

  /** Forgets a plan; stores that were opened with it stay. */
  public static long dropPlan(long plan) {
    Handles.remove(Plan.class, plan);
    return 0;
  }

  /** Closes a store: the memory of its weights is gone. */
  public static long close(long store) throws IOException {
    Handles.remove(OpenStore.class, store).close();
    return 0;
  }

  /** Completed steps. */
  public static long steps(long store) {
    return store(store).store().step();
  }

  /** Leaves which kernel steps and why. */
  public static long kernel(long store) {
    return Results.leave(store(store).store().kernel().reason());
  }

  /** Leaves the bytes that were published with the last step. */
  public static long position(long store) {
    return Results.leave(store(store).store().position());
  }

  /** The address of a tensor's bfloat16 weights. */
  public static long weights(long store, long tensor) {
    return store(store).weightsAddress(tensor);
  }

  /** Copies exact masters into float32 memory. */
  public static long copyMasters(long store, long count, long tensors, long addresses) {
    store(store).copyMasters(Native.longs(tensors, count), Native.longs(addresses, count));
    return 0;
  }

  /** Replaces masters by float32 values. */
  public static long setMasters(long store, long count, long tensors, long addresses)
      throws IOException {
    store(store).setMasters(Native.longs(tensors, count), Native.longs(addresses, count));
    return 0;
  }

  /** Copies a momentum into float32 memory. */
  public static long copyMomentum(long store, long tensor, long address) {
    store(store).copyMomentum(tensor, address);
    return 0;
  }

  /** Replaces momenta by float32 values. */
  public static long setMomenta(long store, long count, long tensors, long addresses)
      throws IOException {
    store(store).setMomenta(Native.longs(tensors, count), Native.longs(addresses, count));
    return 0;
  }

  /** Takes a tensor's gradient. */
  public static long put(long store, long tensor, long type, long values) {
    store(store).put(tensor, type, values);
    return 0;
  }

  /** Takes the gradients of several tensors, on every core. */
  public static long putAll(long store, long count, long tensors, long types, long values) {
    store(store)
        .putAll(
            Native.longs(tensors, count), Native.longs(types, count), Native.longs(values, count));
    return 0;
  }

  /** Adds to a tensor's gradient. */
  public static long accumulate(long store, long tensor, long type, long values) {
    store(store).accumulate(tensor, type, values);
    return 0;
  }

  /** Copies the norm of a gradient that has been put into a float64. */
  public static long copyNorm(long store, long tensor, long address) {
    store(store).copyNorm(tensor, address);
    return 0;
  }

  /** Forgets the gradients that have been put. */
  public static long discard(long store) {
    store(store).store().discardGradients();
    return 0;
  }

  /** Steps; gives completed steps. */
  public static long step(long store, long arguments, long position, long positionBytes)
      throws IOException {
    OpenStore open = store(store);
    return open.step(open.arguments(arguments), Native.bytes(position, positionBytes));
  }

  /** Begins a step that takes gradients tensor by tensor. */
  public static long beginStreaming(long store, long arguments, long position, long positionBytes)
      throws IOException {
    OpenStore open = store(store);
    open.beginStreaming(open.arguments(arguments), Native.bytes(position, positionBytes));
    return 0;
  }

  /** Steps one tensor. */
  public static long stream(long store, long tensor, long type, long values) throws IOException {
    store(store).stream(tensor, type, values);
    return 0;
  }

  /** Ends a streaming step; gives completed steps. */
  public static long finishStreaming(long store, long arguments) throws IOException {
    OpenStore open = store(store);
    return open.finishStreaming(open.arguments(arguments));
  }

  /** Leaves the content hash. */
  public static long hash(long store) throws IOException {
    return Results.leave(ContentHash.of(store(store).store(), _ -> {}));
  }

  /** Begins a list of what is kept with a snapshot. */
  public static long newExtras() {
    return Handles.add(new Extras(new TreeMap<>()));
  }

  /** Adds bytes under a name. */
  public static long addExtra(long extras, long name, long nameBytes, long content, long bytes) {
    Handles.get(Extras.class, extras)
        .bytes()
        .put(Native.text(name, nameBytes), Native.bytes(content, bytes));
    return 0;
  }

  /** Begins a snapshot in a folder of snapshots, of which keep stay, all if 0; drops the extras. */
  public static long beginSnapshot(
      long store, long folder, long folderBytes, long extras, long keep) throws IOException {
    Map<String, byte[]> kept = Handles.remove(Extras.class, extras).bytes();
    store(store).beginSnapshot(path(folder, folderBytes), kept, Math.toIntExact(keep));
    return 0;
  }

  /** Whether no snapshot is being taken, 1 or 0. */
  public static long isSnapshotDone(long store) {
    return store(store).isSnapshotDone() ? 1 : 0;
  }

  /** Waits for the snapshot that is being taken, and leaves its path and what is to be told. */
  public static long awaitSnapshot(long store) throws IOException {
    return Results.leave(store(store).awaitSnapshot());
  }

  /** Leaves the names of what is kept with a snapshot, a line each. */
  public static long extraNames(long snapshot, long snapshotBytes) throws IOException {
    try (Snapshot open = Snapshot.open(path(snapshot, snapshotBytes))) {
      return Results.leave(String.join("\n", open.extras().keySet()));
    }
  }

  /** Leaves what is kept with a snapshot under a name. */
  public static long extra(long snapshot, long snapshotBytes, long name, long nameBytes)
      throws IOException {
    try (Snapshot open = Snapshot.open(path(snapshot, snapshotBytes))) {
      return Results.leave(
          Optional.ofNullable(open.extras().get(Native.text(name, nameBytes))).orElseThrow());
    }
  }

  /** Makes a store from a snapshot. */
  public static long restore(long snapshot, long snapshotBytes, long path, long pathBytes)
      throws IOException {
    try (Snapshot open = Snapshot.open(path(snapshot, snapshotBytes))) {
      open.restore(path(path, pathBytes), StoreBuilder.DEFAULT_CHUNK_ELEMENTS, _ -> {});
    }
    return 0;
  }

  private record Extras(Map<String, byte[]> bytes) {}

  private static OpenStore store(long handle) {
    return Handles.get(OpenStore.class, handle);
  }

  private static Path path(long text, long bytes) {
    return Path.of(Native.text(text, bytes));
  }
}
