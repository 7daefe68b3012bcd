package dev.lionstore.python;

import dev.lionstore.checkpoint.ContentHash;
import dev.lionstore.store.StoreOptions;
import java.io.IOException;

/**
 * What opens a store and is done with it: functions of the {@link Abi}. They take and give 64-bit
 * integers, among them addresses, numbers of objects and of tensors, and text as the address and
 * the length of its UTF-8. Values below zero are never given; exceptions become such.
 */
final class StoreFunctions {
  private StoreFunctions() {}

  /** Copies what the call before has left for this thread; gives its whole length. */
  public static long take(long room, long bytes) {
    return Results.take(Native.at(room, bytes));
  }

  /** Opens a plan's store; threads 0: all cores. */
  public static long open(
      long plan, long path, long pathBytes, long backend, long backendBytes, long threads)
      throws IOException {
    StoreOptions options = StoreOptions.defaults().withBackend(Native.text(backend, backendBytes));
    return Handles.add(
        OpenStore.open(
            Handles.get(Plan.class, plan),
            Native.path(path, pathBytes),
            threads == 0 ? options : options.withThreads(Math.toIntExact(threads))));
  }

  /** Closes a store: the memory of its weights is gone. */
  public static long close(long store) throws IOException {
    Handles.remove(OpenStore.class, store).close();
    return 0;
  }

  /** Completed steps. */
  public static long steps(long store) {
    return OpenStore.of(store).store().step();
  }

  /** Leaves which kernel steps and why. */
  public static long kernel(long store) {
    return Results.leave(OpenStore.of(store).store().selection().reason());
  }

  /** Leaves the bytes that were published with the last step. */
  public static long position(long store) {
    return Results.leave(OpenStore.of(store).store().position());
  }

  /** How many bytes a step may publish. */
  public static long positionCapacity(long store) {
    return OpenStore.of(store).store().positionCapacity();
  }

  /** Copies a parameter's bfloat16 weights. */
  public static long copyWeights(long store, long tensor, long address) {
    OpenStore.of(store).copyWeights(tensor, address);
    return 0;
  }

  /** Whether a parameter is one tensor of the store. */
  public static long isOneTensor(long store, long tensor) {
    return OpenStore.of(store).isOneTensor(tensor) ? 1 : 0;
  }

  /** Where its weights are then in the file weights.plane, in bytes from its beginning. */
  public static long weightsOffset(long store, long tensor) {
    return OpenStore.of(store).weightsOffset(tensor);
  }

  /** Copies exact masters into float32 memory. */
  public static long copyMasters(long store, long count, long tensors, long addresses) {
    OpenStore.of(store).copyMasters(Native.longs(tensors, count), Native.longs(addresses, count));
    return 0;
  }

  /**
   * Makes values masters where they are not what a parameter of their type was given; gives how
   * many elements that were.
   */
  public static long takeOver(long store, long count, long tensors, long types, long values)
      throws IOException {
    return OpenStore.of(store)
        .takeOver(
            Native.longs(tensors, count), Native.longs(types, count), Native.longs(values, count));
  }

  /** Publishes another position without a step. */
  public static long publish(long store, long position, long positionBytes) throws IOException {
    OpenStore.of(store).store().publish(Native.bytes(position, positionBytes));
    return 0;
  }

  /** Copies one of a tensor's states, by its number in the rule, into float32 memory. */
  public static long copyState(long store, long tensor, long plane, long address) {
    OpenStore.of(store).copyState(tensor, Native.toInt("plane", plane), address);
    return 0;
  }

  /** How many steps a tensor has taken; of a rule that does not count them, the store's. */
  public static long stepCount(long store, long tensor) {
    return OpenStore.of(store).stepCount(tensor);
  }

  /** Takes a tensor's gradient. */
  public static long put(long store, long tensor, long type, long values) {
    OpenStore.of(store).put(tensor, type, values);
    return 0;
  }

  /** Copies the gradient that the plane holds of a tensor, in the plane's type. */
  public static long copyGradient(long store, long tensor, long address) {
    OpenStore.of(store).copyGradient(tensor, address);
    return 0;
  }

  /** Takes the gradient that the plane still holds of a tensor again. */
  public static long putKept(long store, long tensor) {
    OpenStore.of(store).putKept(tensor);
    return 0;
  }

  /** Takes the gradients of several tensors, by the store's threads. */
  public static long putAll(long store, long count, long tensors, long types, long values) {
    OpenStore.of(store)
        .putAll(
            Native.longs(tensors, count), Native.longs(types, count), Native.longs(values, count));
    return 0;
  }

  /** Adds to a tensor's gradient. */
  public static long accumulate(long store, long tensor, long type, long values) {
    OpenStore.of(store).accumulate(tensor, type, values);
    return 0;
  }

  /** Copies the norm of a gradient that has been put into a float64. */
  public static long copyNorm(long store, long tensor, long address) {
    OpenStore.of(store).copyNorm(tensor, address);
    return 0;
  }

  /** Forgets the gradients that have been put. */
  public static long discard(long store) {
    OpenStore.of(store).store().gradients().discard();
    return 0;
  }

  /** Steps; gives completed steps. */
  public static long step(long store, long arguments, long position, long positionBytes)
      throws IOException {
    OpenStore open = OpenStore.of(store);
    return open.step(open.arguments(arguments), Native.bytes(position, positionBytes));
  }

  /** Begins a step that takes gradients tensor by tensor. */
  public static long beginStreaming(long store, long arguments, long position, long positionBytes)
      throws IOException {
    OpenStore open = OpenStore.of(store);
    open.beginStreaming(open.arguments(arguments), Native.bytes(position, positionBytes));
    return 0;
  }

  /** Steps one tensor. */
  public static long stream(long store, long tensor, long type, long values) throws IOException {
    OpenStore.of(store).stream(tensor, type, values);
    return 0;
  }

  /** Ends a streaming step; gives completed steps. */
  public static long finishStreaming(long store, long arguments, long position, long positionBytes)
      throws IOException {
    OpenStore open = OpenStore.of(store);
    return open.finishStreaming(open.arguments(arguments), Native.bytes(position, positionBytes));
  }

  /** Leaves the content hash. */
  public static long hash(long store) throws IOException {
    return Results.leave(ContentHash.of(OpenStore.of(store).store(), _ -> {}));
  }
}
