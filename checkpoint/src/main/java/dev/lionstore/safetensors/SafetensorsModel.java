package dev.lionstore.safetensors;

import dev.lionstore.FormatException;
import dev.lionstore.Utf8Order;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
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

  private record Place(SafetensorsFile file, TensorEntry entry) {}

  private final List<SafetensorsFile> files;
  private final Map<String, Place> places;
  private final Optional<Path> index;
  private final Optional<Path> folder;

  private SafetensorsModel(
      List<SafetensorsFile> files,
      SortedMap<String, Place> places,
      Optional<Path> index,
      Optional<Path> folder) {
    this.files = List.copyOf(files);
    this.index = index;
    // In this order, and found by hash: a mixture of experts has tens of thousands.
    this.places = new LinkedHashMap<>(places);
    this.folder = folder;
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
      return openSingle(path, Optional.empty());
    }
    if (!Names.isShardName(baseName + SafetensorsFormat.SUFFIX)) {
      throw new IllegalArgumentException(
          "baseName is " + Names.quote(baseName) + ", expected the beginning of a file name");
    }
    Path single = path.resolve(baseName + SafetensorsFormat.SUFFIX);
    Path index = path.resolve(baseName + SafetensorsFormat.INDEX_SUFFIX);
    if (Files.exists(single)) {
      return openSingle(single, Optional.of(path));
    }
    if (Files.exists(index)) {
      return openIndex(index);
    }
    throw new FormatException(
        path, "model", "missing", single.getFileName() + " or " + index.getFileName());
  }

  /** The names of the shards that an index tells of; whether they are there is not asked. */
  public static Set<String> shardsOf(Path index) throws IOException {
    return new TreeSet<>(ShardIndex.read(index).values());
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
   * The folder whose other files belong to the model. None if a single file was opened by its own
   * name: its folder may be anything.
   */
  public Optional<Path> folder() {
    return folder;
  }

  /** Unmaps all files. Closing twice does nothing. */
  @Override
  public void close() {
    files.forEach(SafetensorsFile::close);
  }

  private static SafetensorsModel openSingle(Path path, Optional<Path> folder) throws IOException {
    SafetensorsFile file = SafetensorsFile.open(path);
    SortedMap<String, Place> places = new TreeMap<>(Utf8Order.COMPARATOR);
    file.entries().forEach(entry -> places.put(entry.name(), new Place(file, entry)));
    return new SafetensorsModel(List.of(file), places, Optional.empty(), folder);
  }

  private static SafetensorsModel openIndex(Path index) throws IOException {
    Map<String, String> shards = ShardIndex.read(index);
    List<SafetensorsFile> files = new ArrayList<>();
    try {
      for (String shard : new TreeSet<>(shards.values())) {
        files.add(openShard(index, shard));
      }
      SortedMap<String, Place> places = places(index, shards, files);
      return new SafetensorsModel(
          files, places, Optional.of(index), Optional.of(index.resolveSibling("")));
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

  private static SortedMap<String, Place> places(
      Path index, Map<String, String> shards, List<SafetensorsFile> files) throws FormatException {
    SortedMap<String, Place> places = new TreeMap<>(Utf8Order.COMPARATOR);
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
   * Opens shards that no index names.
   *
   * @param shards in one folder, whose other files belong to the model
   * @throws FormatException if two hold a tensor of the same name: they are pieces of it
   */
  public static SafetensorsModel openShards(List<Path> shards) throws IOException {
    List<SafetensorsFile> files = new ArrayList<>();
    try {
      SortedMap<String, Place> places = new TreeMap<>(Utf8Order.COMPARATOR);
      for (Path shard : shards) {
        SafetensorsFile file = SafetensorsFile.open(shard);
        files.add(file);
        for (TensorEntry entry : file.entries()) {
          if (places.put(entry.name(), new Place(file, entry)) != null) {
            throw new FormatException(
                shard,
                "tensor " + Names.quote(entry.name()),
                "in another shard, too",
                "in one: pieces of a tensor must be put together first");
          }
        }
      }
      Path folder = shards.getFirst().resolveSibling("");
      return new SafetensorsModel(files, places, Optional.empty(), Optional.of(folder));
    } catch (IOException | RuntimeException | Error e) {
      files.forEach(SafetensorsFile::close);
      throw e;
    }
  }
}
