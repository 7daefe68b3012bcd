package dev.lionstore.checkpoint;

import dev.lionstore.FormatException;
import dev.lionstore.Utf8Order;
import dev.lionstore.safetensors.DeclaredTensor;
import dev.lionstore.safetensors.NewFile;
import dev.lionstore.safetensors.SafetensorsFile;
import dev.lionstore.safetensors.SafetensorsModel;
import dev.lionstore.safetensors.SafetensorsType;
import dev.lionstore.safetensors.SafetensorsWriter;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StateView;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.Charset;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * What belongs to a model without being trained: its configuration and tokenizer files, tensors
 * that are not floats, and buffers. It goes into the store with the model and comes out with it. In
 * a store it stands in the folder {@code carried} and the file {@code carried.safetensors}; buffers
 * that change with the steps stand in the position, which wins. See {@link PublishedBuffers}.
 */
public final class Carried implements AutoCloseable {
  /** Types that a store trains; tensors of all others are carried. */
  static final Set<SafetensorsType> TRAINED_TYPES =
      Set.of(SafetensorsType.F32, SafetensorsType.F16, SafetensorsType.BF16);

  private static final String FILES = "carried";
  private static final String TENSORS = "carried.safetensors";
  private static final int COPY_BYTES = 64 << 10;

  private final List<Path> files;
  private final SortedMap<String, Tensor> tensors;
  private final Set<String> published;
  private final AutoCloseable owner;

  private record Tensor(DeclaredTensor declared, MemorySegment data) {}

  private Carried(List<Path> files, List<Tensor> tensors, AutoCloseable owner) {
    this(files, tensors, Set.of(), owner);
  }

  private Carried(
      List<Path> files, List<Tensor> tensors, Set<String> published, AutoCloseable owner) {
    this.files = List.copyOf(files);
    this.tensors = new TreeMap<>(Utf8Order.COMPARATOR);
    tensors.forEach(tensor -> this.tensors.put(tensor.declared().name(), tensor));
    this.published = Set.copyOf(published);
    this.owner = owner;
  }

  /** Whether tensors of this type are trained rather than carried. */
  public static boolean isTrained(SafetensorsType type) {
    return TRAINED_TYPES.contains(type);
  }

  /** Nothing. */
  public static Carried nothing() {
    return new Carried(List.of(), List.of(), () -> {});
  }

  /**
   * What a model or snapshot folder has beside its trained tensors; it lives as long as the model.
   *
   * @param fileNames which files
   * @param trained names of tensors that are left out
   * @throws FormatException if a file's name is not text here: no manifest could name it
   */
  static Carried of(SafetensorsModel model, Predicate<String> fileNames, Set<String> trained)
      throws IOException {
    List<Tensor> tensors =
        model.tensors().stream()
            .filter(entry -> !trained.contains(entry.name()))
            .map(entry -> new Tensor(entry.declaration(), model.data(entry.name())))
            .toList();
    return new Carried(named(model.otherFiles(), fileNames), tensors, () -> {});
  }

  /**
   * The configuration, tokenizer and other files of a model folder, for a model whose tensors come
   * from elsewhere. Files of weights and of a snapshot, and folders, are left out; a folder without
   * weights will do.
   *
   * @throws java.nio.file.NotDirectoryException if it is no folder
   * @throws FormatException if a file's name is not text here: no manifest could name it
   */
  public static Carried filesOf(Path folder) throws IOException {
    List<Path> files = SafetensorsModel.otherFiles(folder);
    return new Carried(named(files, n -> !SnapshotFiles.isReserved(n)), List.of(), () -> {});
  }

  private static List<Path> named(List<Path> files, Predicate<String> names)
      throws FormatException {
    List<Path> named = new ArrayList<>();
    for (Path path : files) {
      String name = String.valueOf(path.getFileName());
      if (names.test(name)) {
        requireText(path, name);
        named.add(path);
      }
    }
    return named;
  }

  private static void requireText(Path path, String name) throws FormatException {
    if (!SnapshotFiles.isPlainName(name) || !Path.of(name).equals(path.getFileName())) {
      throw new FormatException(
          path, "name", "not " + Charset.defaultCharset() + " text", "text; rename or remove it");
    }
  }

  /**
   * What a store carries at the step that the reader shows.
   *
   * @throws FormatException if a buffer in the position breaks a rule
   */
  public static Carried ofStore(StoreReader store) throws IOException {
    return ofStoreAt(store);
  }

  /**
   * What a store carries at its present step; later steps do not change it.
   *
   * @throws FormatException if a buffer in the position breaks a rule
   */
  public static Carried ofStore(StateStore store) throws IOException {
    return ofStoreAt(store);
  }

  private static Carried ofStoreAt(StateView view) throws IOException {
    Path store = view.directory();
    PublishedBuffers buffers = PublishedBuffers.of(view);
    List<Path> files = List.of();
    Path folder = store.resolve(FILES);
    if (Files.isDirectory(folder)) {
      try (Stream<Path> entries = Files.list(folder)) {
        files = entries.sorted().toList();
      }
    }
    Path tensors = store.resolve(TENSORS);
    if (!Files.exists(tensors)) {
      return new Carried(files, List.of(), () -> {}).with(buffers);
    }
    SafetensorsFile file = SafetensorsFile.open(tensors);
    List<Tensor> data =
        file.entries().stream()
            .map(entry -> new Tensor(entry.declaration(), file.data(entry)))
            .toList();
    return new Carried(files, data, file).with(buffers);
  }

  /** The same with buffers instead of its tensors of their names; closing it closes this. */
  Carried with(PublishedBuffers buffers) {
    List<Tensor> all = new ArrayList<>(tensors.values()); // the last of a name stays
    for (DeclaredTensor buffer : buffers.tensors()) {
      all.add(new Tensor(buffer, buffers.data(buffer.name())));
    }
    Set<String> names =
        buffers.tensors().stream().map(DeclaredTensor::name).collect(Collectors.toSet());
    return new Carried(files, all, names, this);
  }

  /** The same files, and the tensors of these names; it lives as long as this. */
  public Carried matching(Predicate<String> names) {
    List<Tensor> matching =
        tensors.values().stream().filter(tensor -> names.test(tensor.declared().name())).toList();
    return new Carried(files, matching, published, () -> {});
  }

  /** Files in name order. */
  public List<Path> files() {
    return files;
  }

  /** Tensors in name order, to be written beside the trained ones. */
  List<DeclaredTensor> tensors() {
    return tensors.values().stream().map(Tensor::declared).toList();
  }

  /** The bytes of a carried tensor. */
  MemorySegment data(String name) {
    return Optional.ofNullable(tensors.get(name)).orElseThrow().data();
  }

  /** What the files take, in bytes. */
  long fileBytes() throws IOException {
    long bytes = 0;
    for (Path file : files) {
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

  /** Whether both carry the same files and tensors. */
  boolean equalTo(Carried other) throws IOException {
    if (!tensors().equals(other.tensors()) || files.size() != other.files.size()) {
      return false;
    }
    for (Tensor tensor : tensors.values()) {
      MemorySegment there = other.data(tensor.declared().name());
      if (!Pieces.areEqual(tensor.data(), there, _ -> {})) {
        return false;
      }
    }
    SortedMap<String, Path> there = byName(other.files);
    for (Map.Entry<String, Path> file : byName(files).entrySet()) {
      Path counterpart = there.get(file.getKey());
      if (counterpart == null || Files.mismatch(file.getValue(), counterpart) >= 0) {
        return false;
      }
    }
    return true;
  }

  private static SortedMap<String, Path> byName(List<Path> files) {
    SortedMap<String, Path> byName = new TreeMap<>();
    files.forEach(file -> byName.put(String.valueOf(file.getFileName()), file));
    return byName;
  }

  /**
   * Puts everything into a store that is being made, synced; but published buffers only by its
   * position, which the caller hands over: a second copy would grow old with the next step.
   *
   * @param store {@link dev.lionstore.store.StoreBuilder#directory()}, before the store is finished
   * @throws java.nio.file.FileAlreadyExistsException if something is carried there already
   */
  public void writeInto(Path store) throws IOException {
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
  static void writeFile(Path store, String name, byte[] content) throws IOException {
    Path folder = store.resolve(FILES);
    Files.createDirectories(folder);
    try (NewFile file = NewFile.create(folder.resolve(name))) {
      file.write(ByteBuffer.wrap(content));
      file.finish();
    }
  }

  /** Copies the files into a folder, synced; existing ones are not replaced. */
  void copyFilesInto(Path folder) throws IOException {
    for (Path file : files) {
      copy(file, folder.resolve(file.getFileName()));
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
