package dev.lionstore.checkpoint;

import dev.lionstore.FormatException;
import dev.lionstore.TensorSpec;
import dev.lionstore.rule.Plane;
import dev.lionstore.safetensors.DeclaredTensor;
import dev.lionstore.safetensors.SafetensorsFile;
import dev.lionstore.safetensors.SafetensorsModel;
import dev.lionstore.safetensors.SafetensorsType;
import dev.lionstore.safetensors.TensorEntry;
import dev.lionstore.state.PlaneSink;
import dev.lionstore.state.StateView;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.StoreBuilder;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.LongConsumer;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * An immutable copy of a state on disk: at once a Hugging Face folder ({@code model*.safetensors},
 * or {@link Origin#snapshotName} instead of {@code model}) and everything that a store needs to go
 * on ({@code optimizer*.safetensors}, {@code position.bin}, {@code manifest.json}). Read-only; safe
 * for several threads.
 */
public final class Snapshot implements StateView, AutoCloseable {
  private final Path folder;
  private final Manifest manifest;
  private final StoreLayout layout;
  private final Map<String, Long> stepCounts;
  private final SafetensorsModel model;
  private final SafetensorsModel optimizer;
  private final byte[] position;

  private Snapshot(
      Path folder, Manifest manifest, SafetensorsModel model, SafetensorsModel optimizer)
      throws IOException {
    this.folder = folder;
    this.manifest = manifest;
    this.layout = manifest.layout(folder);
    this.stepCounts = manifest.stepCounts();
    this.model = model;
    this.optimizer = optimizer;
    requireListed(model);
    requireListed(optimizer);
    this.position = readPosition();
    for (TensorSpec tensor : layout.tensors()) {
      for (Plane plane : layout.planesOf(tensor)) {
        requireEntry(tensor, plane);
      }
    }
  }

  /**
   * Opens a snapshot and checks that everything is there, but not the checksums; see {@link
   * #verify}.
   *
   * @throws FormatException if it is not a whole snapshot
   */
  public static Snapshot open(Path folder) throws IOException {
    Manifest manifest = ManifestFile.read(folder);
    SnapshotFiles.requireThere(folder, manifest);
    SafetensorsModel model = SafetensorsModel.open(folder, SnapshotFiles.weightsName(manifest));
    try {
      SafetensorsModel optimizer = SafetensorsModel.open(folder, SnapshotFiles.OPTIMIZER);
      try {
        return new Snapshot(folder, manifest, model, optimizer);
      } catch (IOException | RuntimeException | Error e) {
        optimizer.close();
        throw e;
      }
    } catch (IOException | RuntimeException | Error e) {
      model.close();
      throw e;
    }
  }

  /**
   * Whether a folder calls itself a snapshot, whole or not: {@code manifest.json} alone may be
   * anything's, but damage to it must not make a mere model of the folder.
   */
  public static boolean isSnapshot(Path folder) {
    boolean hasState = SafetensorsModel.isIn(folder, SnapshotFiles.OPTIMIZER);
    return Files.exists(folder.resolve(Manifest.NAME))
        ? hasState || ManifestFile.isOurs(folder)
        : hasState && SnapshotFiles.step(folder).isPresent();
  }

  /** The snapshots in a folder, oldest first; what is not called like one is passed over. */
  public static List<Path> list(Path folder) throws IOException {
    if (!Files.isDirectory(folder)) {
      return List.of();
    }
    try (Stream<Path> entries = Files.list(folder)) {
      return entries
          .filter(entry -> SnapshotFiles.step(entry).isPresent() && Files.isDirectory(entry))
          .sorted(Comparator.comparingLong(entry -> SnapshotFiles.step(entry).orElseThrow()))
          .toList();
    }
  }

  private void requireListed(SafetensorsModel part) throws FormatException {
    for (Path file : part.paths()) {
      SnapshotFiles.requireListed(file, manifest);
    }
  }

  private byte[] readPosition() throws IOException {
    Optional<Manifest.FileSums> sums = manifest.sums(SnapshotFiles.POSITION);
    if (sums.isEmpty()) {
      return new byte[0];
    }
    Path file = folder.resolve(SnapshotFiles.POSITION);
    if (sums.get().bytes() > SnapshotFiles.MAX_POSITION_BYTES) {
      throw new FormatException(
          file, "size", sums.get().bytes(), "at most " + SnapshotFiles.MAX_POSITION_BYTES);
    }
    return SnapshotFiles.read(folder, sums.get(), manifest.chunkBytes());
  }

  private void requireEntry(TensorSpec tensor, Plane plane) throws FormatException {
    SafetensorsModel part = plane.equals(Plane.WEIGHTS) ? model : optimizer;
    DeclaredTensor declared = declared(tensor, plane);
    String name = declared.name();
    Optional<TensorEntry> entry = part.tensor(name);
    if (entry.isEmpty()) {
      throw new FormatException(fileOf(name, part), "tensor " + Text.quoted(name) + " is missing");
    }
    require(name, part, "type", entry.get().type().name(), declared.type().name());
    require(name, part, "shape", entry.get().shape(), declared.shape());
  }

  /** The file that holds a tensor or should. */
  private Path fileOf(String tensor, SafetensorsModel part) {
    return part.files().stream()
        .filter(file -> part.files().size() == 1 || file.entry(tensor).isPresent())
        .findFirst()
        .map(SafetensorsFile::path)
        .orElse(folder);
  }

  private void require(
      String tensor, SafetensorsModel part, String field, Object found, Object expected)
      throws FormatException {
    if (!found.equals(expected)) {
      String what = "tensor " + Text.quoted(tensor) + ", " + field;
      throw new FormatException(fileOf(tensor, part), what, found, expected);
    }
  }

  /** A tensor's values in a plane as a snapshot has them; blocks are bytes. */
  static DeclaredTensor declared(TensorSpec tensor, Plane plane) {
    Plane.Type type = plane.type();
    return type.isBlocks()
        ? new DeclaredTensor(
            nameIn(tensor, plane), SafetensorsType.U8, List.of(type.bytes(tensor.count())))
        : new DeclaredTensor(
            nameIn(tensor, plane), SafetensorsType.valueOf(type.name()), tensor.shape());
  }

  /** What a tensor's values in a plane are called in a snapshot. */
  static String nameIn(TensorSpec tensor, Plane plane) {
    return plane.equals(Plane.WEIGHTS) ? tensor.name() : tensor.name() + "." + plane.suffix();
  }

  /**
   * Checks every byte against the checksums.
   *
   * @param progress told the bytes checked since the last call, one call at a time
   * @throws DamagedSnapshotException naming each file, the bytes that are wrong and the tensors in
   *     them
   */
  public void verify(LongConsumer progress) throws IOException {
    reader(progress).read((_, _, _) -> {});
  }

  /**
   * Checks every byte of a snapshot that cannot be opened, say for a header that cannot be read:
   * the manifest knows where chunks lie. Tensors are named where a header tells of them.
   *
   * @throws DamagedSnapshotException as {@link #verify}; not if it is in no chunk
   */
  static void checkChunks(Path folder, LongConsumer progress) throws IOException {
    Manifest manifest = ManifestFile.read(folder);
    SnapshotFiles.requireThere(folder, manifest);
    List<SafetensorsFile> readable = new ArrayList<>();
    try {
      for (Manifest.FileSums file : manifest.files()) {
        try {
          if (SafetensorsModel.isTensorFile(file.name())) {
            readable.add(SafetensorsFile.open(folder.resolve(file.name())));
          }
        } catch (FormatException e) {
          // Its chunks are named by their bytes alone.
        }
      }
      FileContents contents = new FileContents(readable);
      new BlockReader(folder, manifest, contents, progress).read((_, _, _) -> {});
    } finally {
      readable.forEach(SafetensorsFile::close);
    }
  }

  private BlockReader reader(LongConsumer progress) {
    return new BlockReader(folder, manifest, new FileContents(tensorFiles()), progress);
  }

  private List<SafetensorsFile> tensorFiles() {
    return Stream.concat(model.files().stream(), optimizer.files().stream()).toList();
  }

  /**
   * What the trainer kept with this snapshot, by name.
   *
   * @throws FormatException if it is not what was kept
   */
  public Map<String, byte[]> extras() throws IOException {
    Map<String, byte[]> extras = new TreeMap<>();
    for (Manifest.FileSums file : manifest.files()) {
      Optional<String> name = SnapshotFiles.extra(file.name());
      if (name.isPresent()) {
        extras.put(name.get(), SnapshotFiles.read(folder, file, manifest.chunkBytes()));
      }
    }
    return extras;
  }

  /**
   * Whether this is a snapshot of exactly that: layout, step, position, every value and what is
   * carried. It reads values without checking them; see {@link #verify}.
   *
   * @param progress told the bytes compared since the last call
   */
  public boolean holds(StateView view, CarriedContent carriedThere, LongConsumer progress)
      throws IOException {
    return Arrays.equals(position, view.position()) && holdsState(view, carriedThere, progress);
  }

  /** The same wherever after the step the trainer was. */
  boolean holdsAfterStep(StateView view, CarriedContent carriedThere, LongConsumer progress)
      throws IOException {
    return PublishedBuffers.areOfOneStep(position, view.position())
        && holdsState(view, carriedThere, progress);
  }

  private boolean holdsState(StateView view, CarriedContent carriedThere, LongConsumer progress)
      throws IOException {
    if (step() != view.step() || !layout.equals(view.layout())) {
      return false;
    }
    for (int t = 0; t < layout.tensors().size(); t++) {
      if (stepCount(t) != view.stepCount(t)) {
        return false;
      }
      for (Plane plane : layout.planesOf(layout.tensors().get(t))) {
        if (!SegmentEquality.areEqual(values(plane, t), view.values(plane, t), progress)) {
          return false;
        }
      }
    }
    try (CarriedContent mine = inFiles()) {
      return mine.equalTo(carriedThere);
    }
  }

  /** What all of its files take, in bytes. */
  public long fileBytes() {
    return manifest.fileBytes();
  }

  /**
   * What the model carries beside its trained tensors; it lives as long as this.
   *
   * @throws FormatException if a buffer in the position breaks a rule
   */
  public CarriedContent carried() throws IOException {
    return inFiles().with(PublishedBuffers.of(this));
  }

  /** Without the position: the snapshot of an older version lacks the buffers in its files. */
  private CarriedContent inFiles() throws IOException {
    Set<String> trained =
        layout.tensors().stream()
            .map(TensorSpec::name)
            .collect(Collectors.toCollection(HashSet::new));
    List<FolderFiles.Named> files =
        manifest.files().stream()
            .map(Manifest.FileSums::name)
            .filter(name -> name.indexOf('/') >= 0 || !FolderFiles.isWeights(name))
            .map(name -> new FolderFiles.Named(name, folder.resolve(name)))
            .toList();
    Origin origin = SnapshotFiles.origin(folder, manifest);
    trained.addAll(origin.tiedInSnapshot().keySet());
    return CarriedContent.of(model, files, name -> !trained.contains(name), origin);
  }

  /** Makes a store of all tensors; see {@link #restore(Path, int, Predicate, LongConsumer)}. */
  public void restore(Path store, int chunkElements, LongConsumer progress) throws IOException {
    restore(store, chunkElements, _ -> true, progress);
  }

  /**
   * Makes a store that goes on where this was taken. Every byte is read once, and checked on the
   * way; if one is wrong there is no store.
   *
   * @param store where it will be: nothing or an empty folder
   * @param chunkElements elements of a chunk
   * @param names which tensors it has
   * @param progress told the bytes read since the last call, one call at a time
   * @throws DamagedSnapshotException as {@link #verify}
   */
  public void restore(Path store, int chunkElements, Predicate<String> names, LongConsumer progress)
      throws IOException {
    NestedFolders.requireOutside(store);
    StoreLayout wanted = layout.matching(names);
    RestoredPlanes planes = new RestoredPlanes(model.files(), optimizer.files(), wanted);
    PublishedBuffers buffers = PublishedBuffers.of(this);
    byte[] kept = buffers.positionOf(names);
    PlaneSink.Filler filler = sink -> reader(progress).read(planes.into(sink));
    try (StoreBuilder builder =
            StoreBuilder.createFilled(
                store, wanted, chunkElements, buffers.positionCapacity(), filler);
        CarriedContent all = carried()) {
      all.matching(names).writeInto(builder.directory());
      builder.finish(
          step(), t -> stepCounts.getOrDefault(wanted.tensors().get(t).name(), step()), kept);
    }
  }

  @Override
  public Path directory() {
    return folder;
  }

  @Override
  public StoreLayout layout() {
    return layout;
  }

  @Override
  public long step() {
    return manifest.step();
  }

  @Override
  public long stepCount(int tensor) {
    return stepCounts.getOrDefault(layout.tensors().get(tensor).name(), step());
  }

  @Override
  public byte[] position() {
    return position.clone();
  }

  @Override
  public MemorySegment values(Plane plane, int tensor) {
    TensorSpec spec = layout.tensors().get(tensor);
    Optional<Plane> own = layout.planesOf(spec).stream().filter(plane::isStoredAs).findFirst();
    if (own.isEmpty()) {
      return MemorySegment.NULL;
    }
    SafetensorsModel part = plane.equals(Plane.WEIGHTS) ? model : optimizer;
    return part.data(nameIn(spec, own.get()));
  }

  @Override
  public void close() {
    optimizer.close();
    model.close();
  }
}
