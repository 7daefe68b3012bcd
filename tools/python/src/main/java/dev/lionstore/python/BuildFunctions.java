package dev.lionstore.python;

import dev.lionstore.TensorSpec;
import dev.lionstore.checkpoint.Carried;
import dev.lionstore.checkpoint.Snapshot;
import dev.lionstore.store.StoreBuilder;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * What describes a model and makes stores: functions of the {@link Abi}. They take and give 64-bit
 * integers, among them addresses, numbers of objects and of tensors, and text as the address and
 * the length of its UTF-8. Values below zero are never given; exceptions become such.
 */
final class BuildFunctions {
  private BuildFunctions() {}

  /**
   * Begins to describe what is trained, with room for positions of so many bytes; 0: as many as a
   * store has room for unless asked otherwise.
   */
  public static long newPlan(long rounding, long seed, long gradientPlane, long positionCapacity) {
    return Handles.add(
        new Plan(
            Native.rounding(rounding),
            seed,
            Native.gradientPlane(gradientPlane),
            positionCapacity == 0
                ? StoreBuilder.DEFAULT_POSITION_CAPACITY
                : Native.toInt("position capacity", positionCapacity)));
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

  /** Forgets a plan; stores that were opened with it stay. */
  public static long dropPlan(long plan) {
    Handles.remove(Plan.class, plan);
    return 0;
  }

  /**
   * Whether a folder is a store, 1 or 0, once what a killed process was amid has been completed.
   */
  public static long isStore(long path, long pathBytes) throws IOException {
    new Succession(Native.path(path, pathBytes)).recover();
    return StoreReader.isStore(Native.path(path, pathBytes)) ? 1 : 0;
  }

  /** Begins a store for a plan. */
  public static long build(long plan, long path, long pathBytes) throws IOException {
    Plan planned = Handles.get(Plan.class, plan);
    return Handles.add(NewStore.create(planned, Native.path(path, pathBytes)));
  }

  /** Puts a model folder's files that are no weights into a store that is being made. */
  public static long carryFiles(long building, long folder, long folderBytes) throws IOException {
    try (Carried carried = Carried.filesOf(Native.path(folder, folderBytes))) {
      Handles.get(NewStore.class, building).carry(carried);
    }
    return 0;
  }

  /** Sets a tensor's master in a store that is being made. */
  public static long setInitial(long building, long tensor, long type, long values) {
    Handles.get(NewStore.class, building).setMaster(tensor, type, values);
    return 0;
  }

  /** Sets a tensor's momentum, rounded to nearest, in a store that is being made. */
  public static long setInitialMomentum(long building, long tensor, long type, long values) {
    Handles.get(NewStore.class, building).setMomentum(tensor, type, values);
    return 0;
  }

  /** Says at which step a store that is being made will be, and its position. */
  public static long setProgress(long building, long step, long position, long positionBytes) {
    Handles.get(NewStore.class, building).setProgress(step, Native.bytes(position, positionBytes));
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

  /** Begins a store for a plan that takes over what an open store has of it. */
  public static long buildSuccessor(long store, long plan) throws IOException {
    return Handles.add(NewStore.succeeding(OpenStore.of(store), Handles.get(Plan.class, plan)));
  }

  /** Closes a store and gives its place to its successor, which has been finished. */
  public static long succeed(long store) throws IOException {
    Path place = OpenStore.of(store).store().directory();
    StoreFunctions.close(store);
    new Succession(place).complete();
    return 0;
  }

  /** Makes a store from a snapshot. */
  public static long restore(long snapshot, long snapshotBytes, long path, long pathBytes)
      throws IOException {
    try (Snapshot open = Snapshot.open(Native.path(snapshot, snapshotBytes))) {
      open.restore(Native.path(path, pathBytes), StoreBuilder.DEFAULT_CHUNK_ELEMENTS, _ -> {});
    }
    return 0;
  }
}
