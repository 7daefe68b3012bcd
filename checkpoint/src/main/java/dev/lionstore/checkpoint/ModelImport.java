package dev.lionstore.checkpoint;

import dev.lionstore.ElementType;
import dev.lionstore.FormatException;
import dev.lionstore.GradientPlane;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.Lion;
import dev.lionstore.rule.Plane;
import dev.lionstore.safetensors.DeclaredTensor;
import dev.lionstore.safetensors.SafetensorsModel;
import dev.lionstore.safetensors.SafetensorsType;
import dev.lionstore.safetensors.TensorEntry;
import dev.lionstore.store.StoreBuilder;
import dev.lionstore.store.StoreLayout;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.LongConsumer;
import java.util.stream.Collectors;

/** Makes a store at step 0 from a model: exact masters, momentum zero or from elsewhere. */
public final class ModelImport {
  private static final int MAX_NAME_CHARS = 65_000;

  private ModelImport() {}

  /**
   * Imports a model whose momentum starts at zero.
   *
   * @return what the store holds
   */
  public static StoreLayout run(
      Path model, Path store, ImportOptions options, LongConsumer progress) throws IOException {
    try (Momentum zero = Momentum.zero()) {
      return run(model, zero, store, options, progress).layout();
    }
  }

  /**
   * Imports a model. What a snapshot's manifest has checksums of, be it model or momentum, is
   * checked before anything is made.
   *
   * @param model a safetensors file, an index, or a folder
   * @param momentum the model's; what it lacks starts at zero
   * @param store where the store will be: nothing or an empty folder
   * @param progress told the bytes of the model and its momentum read since the last call
   * @throws DamagedSnapshotException if what is read of a snapshot is not what was written
   * @throws FormatException if the model breaks a rule, has no tensor to train, or has a value that
   *     a master cannot hold; if momentum is of no tensor of the model or does not fit it
   * @throws IllegalArgumentException if a pattern matches nothing, or everything is frozen: it was
   *     not meant so
   */
  public static ImportResult run(
      Path model, Momentum momentum, Path store, ImportOptions options, LongConsumer progress)
      throws IOException {
    Places.requireOutside(store);
    try (SafetensorsModel source = SafetensorsModel.open(model)) {
      List<TensorEntry> trained =
          source.tensors().stream()
              .filter(entry -> Carried.TRAINED_TYPES.contains(entry.type()))
              .toList();
      Carried carried = checked(source, model, names(trained), progress);
      momentum.check(progress);
      requireSense(model, trained, options);
      requireRoomForNames(model, trained);
      StoreLayout layout = options.layout(declared(trained), gradients(trained));
      MomentumPlan plan = momentum.plan(layout);
      long rounded;
      try (StoreBuilder builder =
          StoreBuilder.create(store, layout, options.chunkElements(), options.positionCapacity())) {
        fill(builder, source, model, progress);
        rounded = fill(builder, momentum, plan, progress);
        carried.writeInto(builder.directory());
        builder.finish(0, new byte[0]);
      }
      return new ImportResult(layout, plan.sources().size(), plan.absent(), plan.frozen(), rounded);
    }
  }

  /** What a model carries; all of it, and the model itself, is checked if it is a snapshot's. */
  private static Carried checked(
      SafetensorsModel source, Path model, Set<String> trained, LongConsumer progress)
      throws IOException {
    Optional<SnapshotSums> sums = SnapshotSums.of(model);
    if (sums.isEmpty()) {
      return Carried.of(source, name -> !SnapshotFiles.isReserved(name), trained);
    }
    Carried carried =
        Carried.of(
            source, name -> !SnapshotFiles.isReserved(name) && sums.get().lists(name), trained);
    sums.get().check(source, carried.files(), progress);
    return carried;
  }

  private static void fill(
      StoreBuilder builder, SafetensorsModel source, Path model, LongConsumer progress)
      throws IOException {
    List<TensorSpec> tensors = builder.layout().tensors();
    for (int t = 0; t < tensors.size(); t++) {
      String name = tensors.get(t).name();
      ElementType type = elementType(source.tensor(name).orElseThrow().type());
      MasterPlanes master =
          new MasterPlanes(
              model, name, builder.values(Plane.WEIGHTS, t), builder.values(Plane.REMAINDER, t));
      Pieces.forEach(
          source.data(name),
          progress,
          (offset, piece) -> master.set(offset / type.bytes(), new GradientValues(type, piece)));
    }
  }

  /** Tells how many values were rounded. */
  private static long fill(
      StoreBuilder builder, Momentum momentum, MomentumPlan plan, LongConsumer progress)
      throws IOException {
    List<TensorSpec> tensors = builder.layout().tensors();
    long rounded = 0;
    for (int t = 0; t < tensors.size(); t++) {
      TensorEntry entry = plan.sources().get(tensors.get(t).name());
      if (entry != null) {
        rounded += momentum.copy(entry, builder.values(Lion.MOMENTUM, t), progress);
      }
    }
    return rounded;
  }

  private static List<DeclaredTensor> declared(List<TensorEntry> trained) {
    return trained.stream().map(TensorEntry::declaration).toList();
  }

  private static GradientPlane gradients(List<TensorEntry> trained) {
    boolean allBf16 = trained.stream().allMatch(entry -> entry.type() == SafetensorsType.BF16);
    return allBf16 ? GradientPlane.BF16 : GradientPlane.F32;
  }

  private static void requireSense(Path model, List<TensorEntry> trained, ImportOptions options)
      throws FormatException {
    if (trained.isEmpty()) {
      throw new FormatException(
          model,
          "has no tensor of type F32, F16 or BF16, the only ones that are trained; name another"
              + " model, or convert it");
    }
    options.requireSense(declared(trained));
  }

  /** A snapshot appends to the names; it must not fail for that after days of training. */
  private static void requireRoomForNames(Path model, List<TensorEntry> trained)
      throws FormatException {
    for (TensorEntry entry : trained) {
      if (entry.name().length() > MAX_NAME_CHARS) {
        throw new FormatException(
            model,
            "length of the name of tensor " + Text.quoted(entry.name()),
            entry.name().length(),
            "at most " + MAX_NAME_CHARS + " characters; rename it");
      }
    }
  }

  private static Set<String> names(List<TensorEntry> entries) {
    return entries.stream().map(TensorEntry::name).collect(Collectors.toSet());
  }

  /** The type as core calls it; only for {@link Carried#TRAINED_TYPES}. */
  public static ElementType elementType(SafetensorsType type) {
    return switch (type) {
      case F32 -> ElementType.F32;
      case F16 -> ElementType.F16;
      case BF16 -> ElementType.BF16;
      default -> throw new IllegalArgumentException(type + " is no type of a gradient or weight");
    };
  }
}
