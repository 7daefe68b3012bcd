package dev.lionstore.checkpoint;

import dev.lionstore.ElementType;
import dev.lionstore.FormatException;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.safetensors.DeclaredTensor;
import dev.lionstore.safetensors.SafetensorsModel;
import dev.lionstore.safetensors.SafetensorsType;
import dev.lionstore.safetensors.TensorEntry;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StoreBuilder;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
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
    try (SafetensorsModel source = ModelFolder.open(weights(model, options))) {
      return run(source, model, momentum, store, options, progress);
    }
  }

  /**
   * The same for a model that the caller has opened: a header of a hundred thousand tensors takes
   * its time.
   *
   * @param source of {@link #weights}; the caller closes it
   */
  public static ImportResult run(
      SafetensorsModel source,
      Path model,
      Momentum momentum,
      Path store,
      ImportOptions options,
      LongConsumer progress)
      throws IOException {
    NestedFolders.requireOutside(store);
    String component = options.reading().component();
    ModelContent content = ModelContent.of(model, source, options);
    FolderFiles beside = beside(source, model, component);
    CarriedContent carried =
        checked(
            source,
            model,
            content.origin(component, ModelFolder.baseOf(source)),
            content,
            beside.carried(),
            progress);
    momentum.check(progress);
    requireSense(model, content.parameters(), options);
    requireRoomForNames(model, content.parameters());
    StoreLayout layout =
        options.layout(content.parameters(), options.gradientsOf(content.parameters()));
    MomentumPlan plan = momentum.plan(layout);
    long rounded;
    try (StoreBuilder builder =
        StoreBuilder.create(store, layout, options.chunkElements(), options.positionCapacity())) {
      fill(builder, source, model, content, progress);
      rounded = fill(builder, momentum, plan, progress);
      carried.writeInto(builder.directory());
      String name = carried.origin().beside(ConfigFile.NAME);
      Optional<Path> config = carried.file(name);
      if (!content.dequantized().isEmpty() && config.isPresent()) {
        byte[] json = Files.readAllBytes(config.get());
        CarriedContent.rewrite(builder.directory(), name, ConfigFile.withoutQuantization(json));
      }
      builder.finish(0, new byte[0]);
    }
    ImportResult.Source became = became(source, component, content, beside);
    return new ImportResult(
        layout, became, plan.sources().size(), plan.absent(), plan.frozen(), rounded);
  }

  private static ImportResult.Source became(
      SafetensorsModel source, String component, ModelContent content, FolderFiles beside)
      throws IOException {
    Map<String, Integer> strays = ModelFolder.strays(source, component);
    Set<String> own = own(source, component);
    int leftOut = content.scales() + strays.values().stream().mapToInt(n -> Math.max(0, n)).sum();
    return new ImportResult.Source(
        content.tied().size(),
        content.carried().size(),
        leftOut,
        content.buffers(),
        content.wide(),
        List.copyOf(strays.keySet()),
        beside.leftOut().stream()
            .filter(file -> !own.contains(file) && !strays.containsKey(file))
            .toList());
  }

  private static Set<String> own(SafetensorsModel source, String component) {
    String prefix = component.isEmpty() ? "" : component + "/";
    return source.paths().stream()
        .map(path -> prefix + path.getFileName())
        .collect(Collectors.toSet());
  }

  /**
   * What {@link #run} makes of a model. Headers are read, and the values of tensors whose names may
   * be of one parameter.
   *
   * @param source of {@link #weights}
   * @throws FormatException as {@link #run}, but for values
   */
  public static ImportPlan plan(SafetensorsModel source, Path model, ImportOptions options)
      throws IOException {
    String component = options.reading().component();
    ModelContent content = ModelContent.of(model, source, options);
    requireSense(model, content.parameters(), options);
    return new ImportPlan(
        content.parameters(),
        options.gradientsOf(content.parameters()),
        content.scales(),
        became(source, component, content, beside(source, model, component)));
  }

  /**
   * Where the weights lie that options mean.
   *
   * @throws FileSystemException if the model has no such component
   */
  public static Path weights(Path model, ImportOptions options) throws FileSystemException {
    String component = options.reading().component();
    Path weights = model.resolve(component);
    boolean isThere =
        component.isEmpty() || (SnapshotFiles.isInnerName(component) && Files.isDirectory(weights));
    if (!isThere) {
      throw new FileSystemException(
          model.toString(), null, "has no folder " + Text.quoted(component) + "; name one it has");
    }
    return component.isEmpty() ? model : weights;
  }

  /** A snapshot's own files are none of the model's, and need no word. */
  private static FolderFiles beside(SafetensorsModel source, Path model, String component)
      throws IOException {
    if (source.folder().isEmpty()) {
      return new FolderFiles(List.of(), List.of());
    }
    if (!component.isEmpty()) {
      return FolderFiles.in(model, component);
    }
    FolderFiles found = FolderFiles.in(source.folder().get());
    return Snapshot.isSnapshot(source.folder().get())
        ? new FolderFiles(found.carried(), List.of())
        : found;
  }

  /** What a model carries; all of it, and the model itself, is checked if it is a snapshot's. */
  private static CarriedContent checked(
      SafetensorsModel source,
      Path model,
      Origin origin,
      ModelContent content,
      List<FolderFiles.Named> files,
      LongConsumer progress)
      throws IOException {
    Optional<SnapshotSums> sums = SnapshotSums.of(model);
    if (sums.isEmpty()) {
      return CarriedContent.of(source, files, content.carried()::contains, origin);
    }
    List<FolderFiles.Named> listed =
        files.stream().filter(file -> sums.get().lists(file.name())).toList();
    Origin names = sums.get().origin();
    CarriedContent carried =
        CarriedContent.of(source, listed, content.carried()::contains, origin.withNamesOf(names));
    sums.get().check(source, carried.fileNames(), progress);
    return carried;
  }

  private static void fill(
      StoreBuilder builder,
      SafetensorsModel source,
      Path model,
      ModelContent content,
      LongConsumer progress)
      throws IOException {
    List<TensorSpec> tensors = builder.layout().tensors();
    for (int t = 0; t < tensors.size(); t++) {
      String name = tensors.get(t).name();
      MasterPlanes master =
          new MasterPlanes(
              model, name, builder.values(Plane.WEIGHTS, t), builder.values(Plane.REMAINDER, t));
      Fp8Blocks blocks = content.dequantized().get(name);
      if (blocks != null) {
        blocks.fill(source, master, progress);
      } else {
        ElementType type = elementType(source.tensor(name).orElseThrow().type());
        SegmentEquality.forEach(
            source.data(name),
            progress,
            (offset, piece) -> master.set(offset / type.bytes(), new GradientValues(type, piece)));
      }
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
        rounded +=
            momentum.copy(
                entry, builder.values(UpdateRules.LION.statePlanes().getFirst(), t), progress);
      }
    }
    return rounded;
  }

  private static void requireSense(Path model, List<DeclaredTensor> trained, ImportOptions options)
      throws FormatException {
    if (trained.isEmpty()) {
      throw new FormatException(
          model,
          "has no tensor of type F32, F16 or BF16, the only ones that are trained; name another"
              + " model, or convert it");
    }
    options.requireSense(trained);
  }

  /** A snapshot appends to the names; it must not fail for that after days of training. */
  private static void requireRoomForNames(Path model, List<DeclaredTensor> trained)
      throws FormatException {
    for (DeclaredTensor entry : trained) {
      if (entry.name().length() > MAX_NAME_CHARS) {
        throw new FormatException(
            model,
            "length of the name of tensor " + Text.quoted(entry.name()),
            entry.name().length(),
            "at most " + MAX_NAME_CHARS + " characters; rename it");
      }
    }
  }

  /** The type as core calls it; only for {@link CarriedContent#TRAINED_TYPES}. */
  public static ElementType elementType(SafetensorsType type) {
    return switch (type) {
      case F32 -> ElementType.F32;
      case F16 -> ElementType.F16;
      case BF16 -> ElementType.BF16;
      default -> throw new IllegalArgumentException(type + " is no type of a gradient or weight");
    };
  }
}
