package dev.lionstore.safetensors;

import dev.lionstore.FormatException;
import dev.lionstore.Utf8Order;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * The tensors of a model, in one file or in shards with an index, checked in full and mapped
 * read-only. It owns the mappings: {@link #close()} ends every segment it gave out. Thread-safe.
 */
public final class SafetensorsModel implements AutoCloseable {
  /** The base name of a model's files at Hugging Face. */
  public static final String MODEL = "model";

  /** Weights, also in other formats: beside changed tensors they would be stale, and large. */
  private static final Set<String> WEIGHT_SUFFIXES =
      Set.of(
          SafetensorsFormat.SUFFIX,
          SafetensorsFormat.INDEX_SUFFIX,
          ".bin",
          ".bin.index.json",
          ".pt",
          ".pth",
          ".ckpt",
          ".h5",
          ".msgpack",
          ".gguf");

  private record Place(SafetensorsFile file, TensorEntry entry) {}

  private final List<SafetensorsFile> files;
  private final Map<String, Place> places;
  private final Optional<Path> index;
  private final List<Path> otherFiles;

  private SafetensorsModel(
      List<SafetensorsFile> files,
      Map<String, Place> places,
      Optional<Path> index,
      List<Path> otherFiles) {
    this.files = List.copyOf(files);
    this.index = index;
    this.places = places;
    this.otherFiles = List.copyOf(otherFiles);
  }

  /** Opens the tensors named {@link #MODEL}; see {@link #open(Path, String)}. */
  public static SafetensorsModel open(Path path) throws IOException {
    return open(path, MODEL);
  }

  /**
   * Opens a safetensors file, an index ({@code *.safetensors.index.json}) with its shards, or a
   * folder. In a folder, {@code BASE.safetensors} comes before {@code BASE.safetensors.index.json},
   * as in transformers. Index and shards must name the same tensors, each once.
   *
   * @param path the file, index or folder
   * @param baseName what the files in a folder are called; not used otherwise
   * @throws java.nio.file.NoSuchFileException if there is nothing at {@code path}
   * @throws FormatException if a folder has no such model, or a file breaks a rule
   */
  public static SafetensorsModel open(Path path, String baseName) throws IOException {
    if (path.toString().endsWith(SafetensorsFormat.INDEX_SUFFIX)) {
      return openIndex(path);
    }
    if (!Files.isDirectory(path)) {
      return openSingle(path, List.of());
    }
    if (!Names.isShardName(baseName + SafetensorsFormat.SUFFIX)) {
      throw new IllegalArgumentException(
          "baseName is " + Names.quote(baseName) + ", expected the beginning of a file name");
    }
    Path single = path.resolve(baseName + SafetensorsFormat.SUFFIX);
    Path index = path.resolve(baseName + SafetensorsFormat.INDEX_SUFFIX);
    if (Files.exists(single)) {
      return openSingle(single, otherFiles(path));
    }
    if (Files.exists(index)) {
      return openIndex(index);
    }
    throw new FormatException(
        path, "model", "missing", single.getFileName() + " or " + index.getFileName());
  }

  /** Whether a file is called like one with tensors. */
  public static boolean isTensorFile(String name) {
    return name.endsWith(SafetensorsFormat.SUFFIX);
  }

  /** Whether a folder has a model of that base name, whole or not. */
  public static boolean isIn(Path folder, String baseName) {
    return Files.exists(folder.resolve(baseName + SafetensorsFormat.SUFFIX))
        || Files.exists(folder.resolve(baseName + SafetensorsFormat.INDEX_SUFFIX));
  }

  /** All tensors in the order of their names' UTF-8 bytes; offsets are within their own file. */
  public List<TensorEntry> tensors() {
    return places.values().stream().map(Place::entry).toList();
  }

  /** The tensor of that name. */
  public Optional<TensorEntry> tensor(String name) {
    return Optional.ofNullable(places.get(name)).map(Place::entry);
  }

  /**
   * The bytes of a tensor, read-only and owned by this model, little-endian, not necessarily
   * aligned to the element.
   *
   * @throws IllegalArgumentException if there is no tensor of that name
   */
  public MemorySegment data(String name) {
    Place place = places.get(name);
    if (place == null) {
      throw new IllegalArgumentException(
          "tensor is " + Names.quote(name) + ", expected one of the model's " + places.size());
    }
    return place.file().data(place.entry());
  }

  /** The file or the shards, by name; owned by this model, not to be closed by the caller. */
  public List<SafetensorsFile> files() {
    return files;
  }

  /** The paths of all files that were read: the index, if there is one, and those of tensors. */
  public List<Path> paths() {
    return Stream.concat(index.stream(), files.stream().map(SafetensorsFile::path)).toList();
  }

  /**
   * The regular files beside the weights (configuration, tokenizer) by name, so that they can be
   * carried along; no folders, no weights in whatever format. Empty if a single file was opened by
   * its own name: its folder may be anything.
   */
  public List<Path> otherFiles() {
    return otherFiles;
  }

  /** Unmaps all files. Closing twice does nothing. */
  @Override
  public void close() {
    files.forEach(SafetensorsFile::close);
  }

  private static SafetensorsModel openSingle(Path path, List<Path> otherFiles) throws IOException {
    SafetensorsFile file = SafetensorsFile.open(path);
    Map<String, Place> places = new TreeMap<>(Utf8Order.COMPARATOR);
    file.entries().forEach(entry -> places.put(entry.name(), new Place(file, entry)));
    return new SafetensorsModel(List.of(file), places, Optional.empty(), otherFiles);
  }

  private static SafetensorsModel openIndex(Path index) throws IOException {
    Map<String, String> shards = ShardIndex.read(index);
    List<SafetensorsFile> files = new ArrayList<>();
    try {
      for (String shard : new TreeSet<>(shards.values())) {
        files.add(openShard(index, shard));
      }
      Map<String, Place> places = places(index, shards, files);
      return new SafetensorsModel(
          files, places, Optional.of(index), otherFiles(index.resolveSibling("")));
    } catch (IOException | RuntimeException | Error e) {
      files.forEach(SafetensorsFile::close);
      throw e;
    }
  }

  private static SafetensorsFile openShard(Path index, String shard) throws IOException {
    Path path = index.resolveSibling(shard);
    if (!Files.exists(path)) {
      throw new FormatException(index, "shard " + Names.quote(shard), "missing", "beside it");
    }
    return SafetensorsFile.open(path);
  }

  private static Map<String, Place> places(
      Path index, Map<String, String> shards, List<SafetensorsFile> files) throws FormatException {
    Map<String, Place> places = new TreeMap<>(Utf8Order.COMPARATOR);
    for (SafetensorsFile file : files) {
      String shard = String.valueOf(file.path().getFileName());
      for (TensorEntry entry : file.entries()) {
        String mapped = shards.get(entry.name());
        if (!shard.equals(mapped)) {
          throw new FormatException(
              index,
              "weight_map " + Names.quote(entry.name()),
              mapped == null ? "missing" : Names.quote(mapped),
              Names.quote(shard) + ", which holds it");
        }
        places.put(entry.name(), new Place(file, entry));
      }
    }
    for (Map.Entry<String, String> entry : shards.entrySet()) {
      if (!places.containsKey(entry.getKey())) {
        throw new FormatException(
            index,
            "weight_map " + Names.quote(entry.getKey()),
            Names.quote(entry.getValue()),
            "a shard that holds it");
      }
    }
    return places;
  }

  /**
   * The files in a folder that are no weights, in name order; the folder need have no model.
   *
   * @throws java.nio.file.NotDirectoryException if it is no folder
   */
  public static List<Path> otherFiles(Path folder) throws IOException {
    try (Stream<Path> paths = Files.list(folder)) {
      return paths
          .filter(Files::isRegularFile)
          .filter(path -> WEIGHT_SUFFIXES.stream().noneMatch(path.toString()::endsWith))
          .sorted(Comparator.comparing(Path::toString, Utf8Order.COMPARATOR))
          .toList();
    }
  }
}
