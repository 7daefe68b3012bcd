package dev.lionstore.checkpoint;

import dev.lionstore.FormatException;
import dev.lionstore.Utf8Order;
import dev.lionstore.checkpoint.FolderFiles.Named;
import dev.lionstore.kernel.GradientValues;
import dev.lionstore.os.Posix;
import dev.lionstore.safetensors.DeclaredTensor;
import dev.lionstore.safetensors.NewFile;
import dev.lionstore.safetensors.SafetensorsFile;
import dev.lionstore.safetensors.SafetensorsModel;
import dev.lionstore.safetensors.SafetensorsType;
import dev.lionstore.safetensors.SafetensorsWriter;
import dev.lionstore.state.StateView;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.Charset;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * What belongs to a model without being trained: its configuration and tokenizer files, with the
 * folders they stand in, tensors that are no parameters, and how the model came. It goes into the
 * store with the model and comes out with it. In a store it stands in the folder {@code carried}
 * and the files {@code carried.safetensors} and {@code lionstore-origin.json}; buffers that change
 * with the steps stand in the position, which wins. See {@link PublishedBuffers}.
 */
public final class CarriedContent implements AutoCloseable {
  /** Types that a store can train; tensors of all others are carried. */
  static final Set<SafetensorsType> TRAINED_TYPES =
      Set.of(SafetensorsType.F32, SafetensorsType.F16, SafetensorsType.BF16);

  private static final String FILES = "carried";
  private static final String TENSORS = "carried.safetensors";
  private static final int COPY_BYTES = 64 << 10;

  private final SortedMap<String, Path> files;
  private final SortedMap<String, Tensor> tensors;
  private final Origin origin;
  private final Set<String> published;
  private final AutoCloseable owner;

  private record Tensor(DeclaredTensor declared, MemorySegment data) {}

  private CarriedContent(
      List<Named> files, List<Tensor> tensors, Origin origin, AutoCloseable owner) {
    this(files, tensors, origin, Set.of(), owner);
  }

  private CarriedContent(
      List<Named> files,
      List<Tensor> tensors,
      Origin origin,
      Set<String> published,
      AutoCloseable owner) {
    this.files = new TreeMap<>(Utf8Order.COMPARATOR);
    files.forEach(file -> this.files.put(file.name(), file.path()));
    this.tensors = new TreeMap<>(Utf8Order.COMPARATOR);
    tensors.forEach(tensor -> this.tensors.put(tensor.declared().name(), tensor));
    this.origin = origin;
    this.published = Set.copyOf(published);
    this.owner = owner;
  }

  /** Whether tensors of this type can be trained. */
  public static boolean isTrained(SafetensorsType type) {
    return TRAINED_TYPES.contains(type);
  }

  /** Nothing. */
  public static CarriedContent nothing() {
    return new CarriedContent(List.of(), List.of(), Origin.NONE, () -> {});
  }

  /**
   * What a model has beside its parameters; it lives as long as the model.
   *
   * @param files which files
   * @param names which of its tensors
   * @throws FormatException if a file's name is not text here: no manifest could name it
   */
  static CarriedContent of(
      SafetensorsModel model, List<Named> files, Predicate<String> names, Origin origin)
      throws IOException {
    List<Tensor> tensors =
        model.tensors().stream()
            .filter(entry -> names.test(entry.name()))
            .map(entry -> new Tensor(entry.declaration(), model.data(entry.name())))
            .toList();
    return new CarriedContent(checked(files), tensors, origin, () -> {});
  }

  /**
   * The configuration, tokenizer and other files of a model folder, for a model whose tensors come
   * from elsewhere. Files of weights and of a snapshot are left out; a folder without weights will
   * do.
   *
   * @throws java.nio.file.NotDirectoryException if it is no folder
   * @throws FormatException if a file's name is not text here: no manifest could name it
   */
  public static CarriedContent filesOf(Path folder) throws IOException {
    List<Named> files = checked(FolderFiles.in(folder).carried());
    return new CarriedContent(files, List.of(), Origin.NONE, () -> {});
  }

  /** Files of a snapshot that are no part of the model in it are left out. */
  private static List<Named> checked(List<Named> files) throws FormatException {
    List<Named> own = new ArrayList<>();
    for (Named file : files) {
      if (!SnapshotFiles.isReserved(file.name())) {
        requireText(file);
        own.add(file);
      }
    }
    return own;
  }

  private static void requireText(Named file) throws FormatException {
    if (!SnapshotFiles.isInnerName(file.name()) || !file.path().endsWith(Path.of(file.name()))) {
      throw new FormatException(
          file.path(),
          "name",
          "not " + Charset.defaultCharset() + " text",
          "text; rename or remove it");
    }
  }

  /**
   * What a store carries at the step that the reader shows.
   *
   * @throws FormatException if a buffer in the position breaks a rule
   */
  public static CarriedContent ofStore(StoreReader store) throws IOException {
    return ofStoreAt(store);
  }

  /**
   * What a store carries at its present step; later steps do not change it.
   *
   * @throws FormatException if a buffer in the position breaks a rule
   */
  public static CarriedContent ofStore(StateStore store) throws IOException {
    return ofStoreAt(store);
  }

  private static CarriedContent ofStoreAt(StateView view) throws IOException {
    Path store = view.directory();
    PublishedBuffers buffers = PublishedBuffers.of(view);
    List<Named> files = new ArrayList<>();
    Path folder = store.resolve(FILES);
    if (Files.isDirectory(folder)) {
      try (Stream<Path> entries = Files.walk(folder)) {
        entries
            .filter(Files::isRegularFile)
            .forEach(path -> files.add(new Named(folder.relativize(path).toString(), path)));
      }
    }
    Origin origin = originOf(store);
    Path tensors = store.resolve(TENSORS);
    if (!Files.exists(tensors)) {
      return new CarriedContent(files, List.of(), origin, () -> {}).with(buffers);
    }
    SafetensorsFile file = SafetensorsFile.open(tensors);
    List<Tensor> data =
        file.entries().stream()
            .map(entry -> new Tensor(entry.declaration(), file.data(entry)))
            .toList();
    return new CarriedContent(files, data, origin, file).with(buffers);
  }

  /** The same with buffers instead of its tensors of their names; closing it closes this. */
  CarriedContent with(PublishedBuffers buffers) {
    List<Tensor> all = new ArrayList<>(tensors.values()); // the last of a name stays
    for (DeclaredTensor buffer : buffers.tensors()) {
      all.add(new Tensor(buffer, buffers.data(buffer.name())));
    }
    Set<String> names =
        buffers.tensors().stream().map(DeclaredTensor::name).collect(Collectors.toSet());
    return new CarriedContent(named(), all, origin, names, this);
  }

  private static Origin originOf(Path store) throws IOException {
    Path file = store.resolve(Origin.NAME);
    return Files.exists(file) ? Origin.decode(file, Files.readAllBytes(file)) : Origin.NONE;
  }

  /** The same files, and the tensors of these names; it lives as long as this. */
  public CarriedContent matching(Predicate<String> names) {
    List<Tensor> matching =
        tensors.values().stream().filter(tensor -> names.test(tensor.declared().name())).toList();
    return new CarriedContent(named(), matching, origin.matching(names), published, () -> {});
  }

  private List<Named> named() {
    return files.entrySet().stream().map(e -> new Named(e.getKey(), e.getValue())).toList();
  }

  /** Files in the order of their names. */
  public List<Path> files() {
    return List.copyOf(files.values());
  }

  /** The file of that name. */
  Optional<Path> file(String name) {
    return Optional.ofNullable(files.get(name));
  }

  /** Puts another configuration in the place of the one that was carried into a store. */
  static void rewrite(Path store, String name, byte[] content) throws IOException {
    Files.delete(store.resolve(FILES).resolve(name));
    writeFile(store, name, content);
  }

  /** The files' names: paths in the model's folder, with slashes. */
  Set<String> fileNames() {
    return files.keySet();
  }

  /** How the model came. */
  public Origin origin() {
    return origin;
  }

  /** Tensors in name order, to be written beside the trained ones. */
  public List<DeclaredTensor> tensors() {
    return tensors.values().stream().map(Tensor::declared).toList();
  }

  /** The values of a carried tensor, if there is one of this shape that a store could hold. */
  public Optional<GradientValues> values(String name, List<Long> shape) {
    return Optional.ofNullable(tensors.get(name))
        .filter(tensor -> tensor.declared().shape().equals(shape))
        .filter(tensor -> isTrained(tensor.declared().type()))
        .map(tensor ->
            new GradientValues(ModelImport.elementType(tensor.declared().type()), tensor.data()));
  }

  /** The same without tensors that became parameters, of the types that they had. */
  public CarriedContent withParameters(Set<String> names) {
    Map<String, SafetensorsType> types = new HashMap<>();
    for (Tensor tensor : tensors.values()) {
      if (names.contains(tensor.declared().name())) {
        types.put(tensor.declared().name(), tensor.declared().type());
      }
    }
    List<Tensor> others =
        tensors.values().stream().filter(t -> !names.contains(t.declared().name())).toList();
    return new CarriedContent(named(), others, origin.withTypes(types), published, () -> {});
  }

  /** The bytes of a carried tensor. */
  MemorySegment data(String name) {
    return Optional.ofNullable(tensors.get(name)).orElseThrow().data();
  }

  /** What the files take, in bytes. */
  long fileBytes() throws IOException {
    long bytes = 0;
    for (Path file : files.values()) {
      bytes += Files.size(file);
    }
    return bytes;
  }

  /** What the files and tensors take, in bytes. */
  long bytes() throws IOException {
    long bytes = fileBytes();
    for (Tensor tensor : tensors.values()) {
      bytes += tensor.data().byteSize();
    }
    return bytes;
  }

  /** Whether both carry the same files and tensors, of a model that came alike. */
  boolean equalTo(CarriedContent other) throws IOException {
    if (!tensors().equals(other.tensors())
        || !files.keySet().equals(other.files.keySet())
        || !origin.equals(other.origin)) {
      return false;
    }
    for (Tensor tensor : tensors.values()) {
      MemorySegment there = other.data(tensor.declared().name());
      if (!SegmentEquality.areEqual(tensor.data(), there, _ -> {})) {
        return false;
      }
    }
    for (Map.Entry<String, Path> file : files.entrySet()) {
      Path counterpart = other.files.get(file.getKey());
      if (counterpart == null || Files.mismatch(file.getValue(), counterpart) >= 0) {
        return false;
      }
    }
    return true;
  }

  /**
   * Puts everything into a store that is being made, synced; but published buffers only by its
   * position, which the caller hands over: a second copy would grow old with the next step.
   *
   * @param store {@link dev.lionstore.store.StoreBuilder#directory()}, before the store is finished
   * @throws java.nio.file.FileAlreadyExistsException if something is carried there already
   */
  public void writeInto(Path store) throws IOException {
    origin.writeInto(store);
    writeContentInto(store);
  }

  /** The same without how the model came. */
  public void writeContentInto(Path store) throws IOException {
    if (!files.isEmpty()) {
      Files.createDirectory(store.resolve(FILES));
      copyFilesInto(store.resolve(FILES));
    }
    List<DeclaredTensor> declared =
        tensors().stream().filter(tensor -> !published.contains(tensor.name())).toList();
    if (!declared.isEmpty()) {
      try (SafetensorsWriter writer =
          SafetensorsWriter.create(store.resolve(TENSORS), declared, Map.of())) {
        for (DeclaredTensor tensor : declared) {
          writer.write(tensor.name(), data(tensor.name()));
        }
        writer.finish();
      }
    }
  }

  /**
   * Puts a file that is nowhere else yet into a store that is being made, synced.
   *
   * @param store as for {@link #writeInto}
   * @param name its plain name
   * @throws java.nio.file.FileAlreadyExistsException if one of this name is carried there already
   */
  public static void writeFile(Path store, String name, byte[] content) throws IOException {
    Path folder = store.resolve(FILES);
    Files.createDirectories(folder);
    write(folder.resolve(name), content);
  }

  static void write(Path path, byte[] content) throws IOException {
    try (NewFile file = NewFile.create(path)) {
      file.write(ByteBuffer.wrap(content));
      file.finish();
    }
  }

  /** Copies the files into a folder, synced; existing ones are not replaced. */
  void copyFilesInto(Path folder) throws IOException {
    copyFilesInto(folder, Map.of());
  }

  /**
   * The same with other content for some of them.
   *
   * @param instead by name
   */
  void copyFilesInto(Path folder, Map<String, byte[]> instead) throws IOException {
    Set<Path> made = new TreeSet<>();
    for (Map.Entry<String, Path> file : files.entrySet()) {
      Path copy = folder.resolve(file.getKey());
      Path inner = Path.of(file.getKey());
      for (int depth = 1; depth < inner.getNameCount(); depth++) {
        made.add(Files.createDirectories(folder.resolve(inner.subpath(0, depth))));
      }
      byte[] content = instead.get(file.getKey());
      if (content == null) {
        copy(file.getValue(), copy);
      } else {
        write(copy, content);
      }
    }
    for (Path inner : made) {
      Posix.sync(inner);
    }
  }

  /** Not by {@code Files.copy}: on a full disk it names the file that it reads, or none. */
  private static void copy(Path file, Path copy) throws IOException {
    try (FileChannel from = FileChannel.open(file);
        NewFile to = NewFile.create(copy)) {
      ByteBuffer piece = ByteBuffer.allocateDirect(COPY_BYTES);
      while (from.read(piece.clear()) >= 0) {
        to.write(piece.flip());
      }
      to.finish();
    }
  }

  @Override
  public void close() throws IOException {
    try {
      owner.close();
    } catch (IOException | RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IOException(e);
    }
  }
}
