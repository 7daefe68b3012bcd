package dev.lionstore.python;

import dev.lionstore.ParameterGroup;
import dev.lionstore.TensorSpec;
import dev.lionstore.checkpoint.CarriedContent;
import dev.lionstore.checkpoint.Snapshot;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StoreBuilder;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Collectors;
import java.util.stream.Stream;

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
  public static long newPlan(
      long rule, long rounding, long seed, long gradientPlane, long positionCapacity) {
    return Handles.add(
        new Plan(
            Handles.get(UpdateRule.class, rule),
            Native.rounding(rounding),
            seed,
            Native.gradientPlane(gradientPlane),
            positionCapacity == 0
                ? StoreBuilder.DEFAULT_POSITION_CAPACITY
                : Native.toInt("position capacity", positionCapacity)));
  }

  /** Adds a parameter group, which is stepped by a rule, to a plan. */
  public static long addGroup(long plan, long rule, long name, long nameBytes) {
    Handles.get(Plan.class, plan)
        .addGroup(Handles.get(UpdateRule.class, rule), Native.text(name, nameBytes));
    return 0;
  }

  /** Adds a parameter to the group of a plan that was added last. */
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
   * Adds the next tensor that the model's files have of the parameter that was added last; they are
   * its elements in their order.
   */
  public static long addTensorInFiles(long plan, long name, long nameBytes, long shape, long rank) {
    Handles.get(Plan.class, plan)
        .addTensorInFiles(
            Native.text(name, nameBytes),
            Arrays.stream(Native.longs(shape, rank)).boxed().toList());
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

  /** Leaves the names of a store's groups, a line each, in its order. */
  public static long groupNames(long path, long pathBytes) throws IOException {
    StoreLayout layout = StoreReader.layoutOf(Native.path(path, pathBytes));
    return Results.leave(lines(layout.groups().stream().map(ParameterGroup::name)));
  }

  /** Leaves the names of a store's tensors, a line each. */
  public static long tensorNames(long path, long pathBytes) throws IOException {
    StoreLayout layout = StoreReader.layoutOf(Native.path(path, pathBytes));
    return Results.leave(lines(layout.tensors().stream().map(TensorSpec::name)));
  }

  private static String lines(Stream<String> names) {
    return names.collect(Collectors.joining("\n"));
  }

  /** Begins a store for a plan. */
  public static long build(long plan, long path, long pathBytes) throws IOException {
    Plan planned = Handles.get(Plan.class, plan);
    return Handles.add(NewStore.create(planned, Native.path(path, pathBytes)));
  }

  /** Puts a model folder's files that are no weights into a store that is being made. */
  public static long carryFiles(long building, long folder, long folderBytes) throws IOException {
    try (CarriedContent carried = CarriedContent.filesOf(Native.path(folder, folderBytes))) {
      Handles.get(NewStore.class, building).carry(carried);
    }
    return 0;
  }

  /** Puts one more file of a model folder into a store that is being made. */
  public static long carryFile(
      long building, long name, long nameBytes, long content, long contentBytes)
      throws IOException {
    Handles.get(NewStore.class, building)
        .carry(Native.text(name, nameBytes), Native.bytes(content, contentBytes));
    return 0;
  }

  /** Says what the files of weights are called that leave a store that is being made. */
  public static long setBaseName(long building, long name, long nameBytes) {
    Handles.get(NewStore.class, building).setBaseName(Native.text(name, nameBytes));
    return 0;
  }

  /** Gives a parameter of a store that is being made a second name, under which it leaves, too. */
  public static long setTied(
      long building, long name, long nameBytes, long parameter, long parameterBytes) {
    Handles.get(NewStore.class, building)
        .setTied(Native.text(name, nameBytes), Native.text(parameter, parameterBytes));
    return 0;
  }

  /** Sets a tensor's master in a store that is being made. */
  public static long setInitial(long building, long tensor, long type, long values) {
    Handles.get(NewStore.class, building).setMaster(tensor, type, values);
    return 0;
  }

  /**
   * Sets one of a tensor's states, by its number in its rule, in a store that is being made; what
   * is bfloat16 there is rounded to nearest.
   */
  public static long setInitialState(
      long building, long tensor, long plane, long type, long values) {
    Handles.get(NewStore.class, building)
        .setState(tensor, Native.toInt("plane", plane), type, values);
    return 0;
  }

  /** Says how many steps a tensor has taken, if the rule counts them. */
  public static long setStepCount(long building, long tensor, long count) {
    Handles.get(NewStore.class, building).setStepCount(tensor, count);
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
    return Handles.add(
        NewStore.succeeding(OpenStore.of(store).store(), Handles.get(Plan.class, plan)));
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
