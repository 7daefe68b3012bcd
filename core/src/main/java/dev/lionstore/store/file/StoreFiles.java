package dev.lionstore.store.file;

import dev.lionstore.ElementType;
import dev.lionstore.FormatException;
import dev.lionstore.GradientPlane;
import dev.lionstore.TensorSpec;
import dev.lionstore.kernel.StoreMemory;
import dev.lionstore.os.MappedFile;
import dev.lionstore.os.Posix;
import dev.lionstore.rule.Plane;
import dev.lionstore.state.NoSpaceException;
import dev.lionstore.state.PlaneSink;
import dev.lionstore.state.StoreLayout;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.SequencedMap;

/** The mapped files of one store. */
public final class StoreFiles implements AutoCloseable {
  private final Path directory;
  private final LayoutFile layout;
  private final Geometry geometry;
  private final List<MappedFile> mapped = new ArrayList<>();
  private final HeaderFile header;
  private final ProgressFile progress;
  private final List<PlaneFile> planes = new ArrayList<>();
  private final Optional<PlaneFile> gradient;
  private final StoreParts parts;
  private final ChangesFile changes;
  private Optional<ChunkUndoFile> chunkUndo;
  private Optional<DirectPlanes> direct = Optional.empty();

  @SuppressWarnings("this-escape") // closes what it has opened if the rest cannot be
  private StoreFiles(
      Path directory, LayoutFile layout, ChunkUndoFile.Opener opener, StoreParts parts)
      throws IOException {
    this.directory = directory;
    this.layout = layout;
    this.geometry = layout.geometry();
    this.parts = parts;
    this.changes = parts.changes(directory, layout);
    try {
      this.header =
          parts.header(open(opener, directory, HeaderFile.NAME, HeaderFile.size(layout)), layout);
      this.progress =
          parts.progress(
              open(opener, directory, ProgressFile.NAME, progressSize(layout, geometry)),
              layout.layout());
      for (Plane plane : layout.layout().planes()) {
        planes.add(openPlane(opener, parts, directory, plane, planes.size()));
      }
      Optional<Plane> kept = gradientPlane(layout.layout().gradientPlane());
      this.gradient =
          kept.isPresent()
              ? Optional.of(openPlane(opener, parts, directory, kept.get(), planes.size()))
              : Optional.empty();
      Optional<MappedFile> undo = ChunkUndoFile.open(directory, layout, opener);
      undo.ifPresent(mapped::add);
      this.chunkUndo = undo.map(file -> parts.chunkUndo(file, layout));
    } catch (IOException | RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  /** Allocates the files of a new store in an empty folder, and maps them. */
  public static StoreFiles create(Path directory, LayoutFile layout) throws IOException {
    startFolder(directory, layout);
    for (Plane plane : allPlanes(layout.layout())) {
      Posix.createForMapping(directory.resolve(PlaneFile.name(plane)));
    }
    return allocate(directory, layout);
  }

  /**
   * As {@link #create}, but values are written to the planes' files before these are allocated:
   * faster than through the mapping, where each page that is touched first costs a fault, and on a
   * tmpfs is cleared first.
   */
  public static StoreFiles createFilled(Path directory, LayoutFile layout, PlaneSink.Filler filler)
      throws IOException {
    startFolder(directory, layout);
    try (NewPlanes planes = new NewPlanes(directory, layout)) {
      filler.fill(planes);
    }
    return allocate(directory, layout);
  }

  private static void startFolder(Path directory, LayoutFile layout) throws IOException {
    long needed = size(layout);
    // Not by its FileStore: that one is looked up in the mount table, which a chroot lacks.
    long usable = directory.toFile().getUsableSpace();
    if (usable < needed) {
      throw new NoSpaceException(directory, needed, usable);
    }
    layout.write(directory);
    StoreLock.create(directory);
  }

  private static StoreFiles allocate(Path directory, LayoutFile layout) throws IOException {
    Geometry geometry = layout.geometry();
    Posix.createForMapping(directory.resolve(HeaderFile.NAME), HeaderFile.size(layout));
    Posix.createForMapping(directory.resolve(ProgressFile.NAME), progressSize(layout, geometry));
    List<Plane> planes = allPlanes(layout.layout());
    for (int p = 0; p < planes.size(); p++) {
      Posix.allocate(
          directory.resolve(PlaneFile.name(planes.get(p))),
          PlaneFile.size(planes.get(p), p, geometry));
    }
    StoreFiles files =
        new StoreFiles(directory, layout, MappedFile::openWritable, StoreParts.STANDARD);
    files.eachPlane().forEach(plane -> plane.initialise(layout.storeId()));
    files.progress.initialise(layout.storeId());
    return files;
  }

  /** Maps an existing store's files for the writer. */
  public static StoreFiles openWritable(Path directory, LayoutFile layout, StoreParts parts)
      throws IOException {
    return checked(new StoreFiles(directory, layout, MappedFile::openWritable, parts));
  }

  /** Maps an existing store's files for reading. */
  public static StoreFiles openReadOnly(Path directory, LayoutFile layout) throws IOException {
    return checked(
        new StoreFiles(directory, layout, MappedFile::openReadOnly, StoreParts.STANDARD));
  }

  private static StoreFiles checked(StoreFiles files) throws IOException {
    try {
      files.progress.requireOf(files.layout.storeId());
      for (PlaneFile plane : files.eachPlane()) {
        plane.requireOf(files.layout.storeId());
      }
      if (files.chunkUndo.isPresent()) {
        files.chunkUndo.get().requireOf(files.layout.storeId());
      }
      return files;
    } catch (FormatException e) {
      files.close();
      throw e;
    }
  }

  /** What the mapped files of a store take, in bytes. */
  public static long size(LayoutFile layout) {
    return sizes(layout).values().stream().mapToLong(Long::longValue).sum();
  }

  /** What each mapped file of a new store takes, in bytes, by its name. */
  public static SequencedMap<String, Long> sizes(LayoutFile layout) {
    Geometry geometry = layout.geometry();
    SequencedMap<String, Long> sizes = new LinkedHashMap<>();
    sizes.put(HeaderFile.NAME, HeaderFile.size(layout));
    sizes.put(ProgressFile.NAME, progressSize(layout, geometry));
    List<Plane> planes = allPlanes(layout.layout());
    for (int p = 0; p < planes.size(); p++) {
      sizes.put(PlaneFile.name(planes.get(p)), PlaneFile.size(planes.get(p), p, geometry));
    }
    return sizes;
  }

  private static long progressSize(LayoutFile layout, Geometry geometry) {
    return ProgressFile.size(layout.layout(), geometry);
  }

  /** The planes that have files, in the order of their places: the gradient plane is the last. */
  public static List<Plane> allPlanes(StoreLayout layout) {
    List<Plane> all = new ArrayList<>(layout.planes());
    gradientPlane(layout.gradientPlane()).ifPresent(all::add);
    return all;
  }

  private static Optional<Plane> gradientPlane(GradientPlane kept) {
    return switch (kept) {
      case NONE -> Optional.empty();
      case BF16 -> Optional.of(Plane.gradient(ElementType.BF16));
      case F32 -> Optional.of(Plane.gradient(ElementType.F32));
    };
  }

  private PlaneFile openPlane(
      ChunkUndoFile.Opener opener, StoreParts parts, Path directory, Plane plane, int index)
      throws IOException {
    long size = PlaneFile.size(plane, index, geometry);
    return parts.plane(open(opener, directory, PlaneFile.name(plane), size), plane, index);
  }

  private MappedFile open(ChunkUndoFile.Opener opener, Path directory, String name, long size)
      throws IOException {
    MappedFile file = opener.open(directory.resolve(name), size);
    mapped.add(file);
    return file;
  }

  public Path directory() {
    return directory;
  }

  public LayoutFile layout() {
    return layout;
  }

  public Geometry geometry() {
    return geometry;
  }

  public HeaderFile header() {
    return header;
  }

  public ProgressFile progress() {
    return progress;
  }

  /** The planes of the state, in the layout's order. */
  public List<PlaneFile> planes() {
    return planes;
  }

  public Optional<PlaneFile> gradient() {
    return gradient;
  }

  /** What a kernel may be told of its memory. */
  public StoreMemory memory() {
    return new StoreMemory(
        planes.stream()
            .map(plane -> new StoreMemory.PlaneFile(plane.file().memory(), plane.firstValue()))
            .toList(),
        gradient.map(plane -> plane.file().memory()),
        progress.file().memory());
  }

  /** The state's planes and, if there is one, the gradient plane. */
  public List<PlaneFile> eachPlane() {
    List<PlaneFile> all = new ArrayList<>(planes);
    gradient.ifPresent(all::add);
    return all;
  }

  /** What is changed between steps, while it is. */
  public ChangesFile changes() {
    return changes;
  }

  /** The planes past the page cache, if they are stepped so. */
  public Optional<DirectPlanes> direct() {
    return direct;
  }

  /** Opens the planes past the page cache; only before the first step. */
  public boolean openDirect() throws IOException {
    direct = DirectPlanes.open(this, parts);
    return direct.isPresent();
  }

  /** What the planes take, in bytes. */
  public long planeBytes() {
    return eachPlane().stream().mapToLong(plane -> plane.file().memory().byteSize()).sum();
  }

  /** Where chunks are saved whole, if a step has needed that. */
  public Optional<ChunkUndoFile> chunkUndo() {
    return chunkUndo;
  }

  /** Whether a worker has room there for a chunk. */
  public boolean hasChunkUndo(int worker) {
    return chunkUndo.filter(undo -> worker < undo.workers()).isPresent();
  }

  /** Makes room for so many chunks that a device has in hand; only between steps. */
  public void allowChunkUndo(int slots) throws IOException {
    if (!hasChunkUndo(slots - 1)) {
      if (chunkUndo.isPresent()) {
        MappedFile smaller = chunkUndo.get().file();
        chunkUndo = Optional.empty();
        mapped.remove(smaller);
        smaller.close();
      }
      MappedFile file = ChunkUndoFile.create(directory, layout, slots);
      mapped.add(file);
      chunkUndo = Optional.of(parts.chunkUndo(file, layout));
    }
  }

  /** Ties every file that a step changes or reads to the step's intent. */
  public void tieTo(long mark) {
    progress.tieTo(mark);
    for (PlaneFile plane : planes) {
      plane.tieTo(mark);
    }
    if (gradient.isPresent()) {
      gradient.get().tieTo(mark);
    }
    if (chunkUndo.isPresent()) {
      chunkUndo.get().tieTo(mark);
    }
  }

  /** Says of every plane of the state that it will change: the intent counts. */
  public void markBegun(long mark) {
    for (PlaneFile plane : planes) {
      plane.markBegun(mark);
    }
  }

  /** A tensor's values in a plane of the state, without padding; empty if it has none there. */
  public MemorySegment values(Plane plane, int tensor) {
    TensorSpec spec = layout.layout().tensors().get(tensor);
    boolean present = layout.layout().planesOf(spec).stream().anyMatch(plane::isStoredAs);
    return planes
        .get(indexOf(plane))
        .values(present ? geometry.firstElement(plane, tensor) : 0, present ? spec.count() : 0);
  }

  /**
   * The index of a plane of the state in {@link #planes}.
   *
   * @throws IllegalArgumentException if there is none
   */
  public int indexOf(Plane plane) {
    for (int index = 0; index < planes.size(); index++) {
      if (planes.get(index).plane().isStoredAs(plane)) {
        return index;
      }
    }
    throw new IllegalArgumentException(
        "there is no plane " + plane.name() + " of " + plane.type() + " in " + directory);
  }

  /**
   * The planes of the state that a tensor is in, in its rule's order, as indexes of {@link
   * #planes}.
   */
  public int[] planesOf(int tensor) {
    TensorSpec spec = layout.layout().tensors().get(tensor);
    return layout.layout().planesOf(spec).stream().mapToInt(this::indexOf).toArray();
  }

  /** A trained tensor's padded part of each plane that it is in, in its rule's order. */
  public List<MemorySegment> paddedValues(int tensor) {
    long count = Geometry.padded(layout.layout().tensors().get(tensor).count());
    List<MemorySegment> values = new ArrayList<>();
    for (int index : planesOf(tensor)) {
      PlaneFile plane = planes.get(index);
      values.add(plane.values(geometry.firstElement(plane.plane(), tensor), count));
    }
    return values;
  }

  /**
   * Checks that nobody has truncated a file under the mapping, or deleted the store: a run would
   * compute for days what no path leads to. One file stands for all, as this is done at each step.
   */
  public void requireUntouched() throws IOException {
    mapped.getFirst().requireStillThere();
    for (MappedFile file : mapped) {
      file.requireUnchangedSize();
    }
  }

  /** Checks that the paths still name what is mapped. */
  public void requireStillThere() throws IOException {
    for (MappedFile file : mapped) {
      file.requireStillThere();
    }
  }

  /** Makes everything durable. */
  public void force() throws IOException {
    for (MappedFile file : mapped) {
      file.force();
    }
  }

  @Override
  public void close() throws IOException {
    direct.ifPresent(DirectPlanes::close);
    direct = Optional.empty();
    IOException failure = null;
    for (MappedFile file : mapped) {
      try {
        file.close();
      } catch (IOException e) {
        failure = e;
      }
    }
    mapped.clear();
    try {
      changes.close(); // of a change that failed
    } catch (IOException e) {
      failure = e;
    }
    MappedFile.awaitUnmapping();
    if (failure != null) {
      throw failure;
    }
  }
}
