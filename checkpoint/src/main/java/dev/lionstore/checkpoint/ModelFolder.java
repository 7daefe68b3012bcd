package dev.lionstore.checkpoint;

import dev.lionstore.FormatException;
import dev.lionstore.Utf8Order;
import dev.lionstore.safetensors.SafetensorsFile;
import dev.lionstore.safetensors.SafetensorsModel;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Finds the weights in a folder. {@code model} comes first, as in transformers; another name that
 * programs are known to use is taken where it is the only one. What is beside it is left, and told.
 */
public final class ModelFolder {
  private static final String SUFFIX = ".safetensors";
  private static final String INDEX_SUFFIX = ".safetensors.index.json";

  /**
   * Names of weights: transformers' shards without an index (torchtitan) and its variants;
   * diffusers and its variants; PEFT; Mistral's and Meta's own; torchtune; LoRA of diffusers and of
   * MLX; OpenCLIP; MLX.
   */
  private static final Pattern KNOWN =
      Pattern.compile(
          "model(\\..+)?|diffusion_pytorch_model(\\..+)?|pytorch_model|adapter_model|consolidated"
              + "|ft-model|hf_model|pytorch_lora_weights|adapters|open_clip_model"
              + "|open_clip_pytorch_model|weights");

  private static final Pattern SHARD = Pattern.compile("(.+)-([0-9]{4,6})-of-([0-9]{4,6})");
  private static final Pattern PIECE = Pattern.compile("(consolidated|weights)\\.[0-9]{2}");

  private final Path folder;

  /** Safetensors files and indexes by the base of their names. */
  private final SortedMap<String, SortedSet<String>> bases = new TreeMap<>(Utf8Order.COMPARATOR);

  private ModelFolder(Path folder) throws IOException {
    this.folder = folder;
    try (Stream<Path> entries = Files.list(folder)) {
      for (Path entry : entries.filter(path -> !Files.isDirectory(path)).toList()) {
        String name = String.valueOf(entry.getFileName());
        if (name.endsWith(SUFFIX) || name.endsWith(INDEX_SUFFIX)) {
          bases.computeIfAbsent(base(name), _ -> new TreeSet<>()).add(name);
        }
      }
    }
  }

  /** What a file of weights is called, without shard and suffix. */
  static String base(String fileName) {
    String stem =
        fileName.endsWith(INDEX_SUFFIX)
            ? fileName.substring(0, fileName.length() - INDEX_SUFFIX.length())
            : fileName.endsWith(SUFFIX)
                ? fileName.substring(0, fileName.length() - SUFFIX.length())
                : fileName;
    for (Pattern pattern : List.of(SHARD, PIECE)) {
      Matcher part = pattern.matcher(stem);
      if (part.matches()) {
        return part.group(1);
      }
    }
    return stem;
  }

  /** What an export of that model is called. */
  static String baseOf(SafetensorsModel model) {
    String base = base(String.valueOf(model.paths().getFirst().getFileName()));
    return KNOWN.matcher(base).matches() && !base.equals("consolidated")
        ? base
        : SafetensorsModel.MODEL;
  }

  /**
   * Opens a safetensors file, an index or a folder.
   *
   * @throws java.nio.file.NoSuchFileException if there is nothing at {@code path}
   * @throws FileSystemException if a folder holds no model, or several to choose from
   * @throws FormatException if a file breaks a rule
   */
  public static SafetensorsModel open(Path path) throws IOException {
    if (!Files.isDirectory(path)) {
      return SafetensorsModel.open(path);
    }
    if (Snapshot.isSnapshot(path)) {
      return SafetensorsModel.open(path, SnapshotFiles.weightsName(ManifestFile.read(path)));
    }
    ModelFolder folder = new ModelFolder(path);
    if (SafetensorsModel.isIn(path, SafetensorsModel.MODEL)) {
      return folder.openModel();
    }
    return folder.openOnly();
  }

  /** Transformers prefers the single file, which need not be what the index is of. */
  private SafetensorsModel openModel() throws IOException {
    Path single = folder.resolve(SafetensorsModel.MODEL + SUFFIX);
    Path index = folder.resolve(SafetensorsModel.MODEL + INDEX_SUFFIX);
    if (Files.exists(single) && Files.exists(index)) {
      Set<String> shards = SafetensorsModel.shardsOf(index);
      boolean others =
          shards.stream()
              .filter(shard -> !shard.equals(SafetensorsModel.MODEL + SUFFIX))
              .anyMatch(shard -> Files.exists(folder.resolve(shard)));
      if (others) {
        throw refused(
            "holds two models, "
                + single.getFileName()
                + " and the shards of "
                + index.getFileName()
                + "; move one away, or name the one that is meant");
      }
    }
    return SafetensorsModel.open(folder);
  }

  private SafetensorsModel openOnly() throws IOException {
    List<String> known = bases.keySet().stream().filter(KNOWN.asMatchPredicate()).toList();
    if (known.size() != 1) {
      throw refused(known.isEmpty() ? nothing() : several(known));
    }
    String base = known.getFirst();
    if (SafetensorsModel.isIn(folder, base)) {
      return SafetensorsModel.open(folder, base);
    }
    List<String> shards = List.copyOf(bases.getOrDefault(base, new TreeSet<>()));
    requireComplete(shards);
    return SafetensorsModel.openShards(shards.stream().map(folder::resolve).toList());
  }

  private void requireComplete(List<String> shards) throws FileSystemException {
    for (String shard : shards) {
      Matcher numbered = SHARD.matcher(shard.substring(0, shard.length() - SUFFIX.length()));
      if (numbered.matches() && Integer.parseInt(numbered.group(3)) != shards.size()) {
        throw refused(
            "holds "
                + shards.size()
                + " shards like "
                + Text.quoted(shard)
                + " without an index, expected "
                + Integer.parseInt(numbered.group(3))
                + " as their names say; complete the download");
      }
    }
  }

  private FileSystemException refused(String why) {
    return new FileSystemException(folder.toString(), null, why);
  }

  /** Whether a folder, or one in it, has safetensors, whatever they are called. */
  public static boolean hasSafetensors(Path path) throws IOException {
    ModelFolder folder = new ModelFolder(path);
    return !folder.bases.isEmpty() || !folder.components().isEmpty();
  }

  private String several(List<String> known) {
    return "holds several models, "
        + known.stream()
            .map(base -> bases.getOrDefault(base, new TreeSet<>()).getFirst())
            .collect(Collectors.joining(", "))
        + "; name the one that is meant";
  }

  private String nothing() throws IOException {
    List<String> components = components();
    if (!components.isEmpty()) {
      return "has its weights in folders ("
          + String.join(", ", components)
          + "); name the one to train, as --component "
          + components.getFirst()
          + " does at import";
    }
    List<String> others = new ArrayList<>();
    bases.values().forEach(others::addAll);
    if (!others.isEmpty()) {
      return "holds no model.safetensors or model.safetensors.index.json but "
          + names(others)
          + "; name the file itself";
    }
    List<String> formats =
        Files.isDirectory(folder)
            ? FolderFiles.in(folder).leftOut().stream().filter(FolderFiles::isWeights).toList()
            : List.of();
    return "holds no model.safetensors or model.safetensors.index.json"
        + (formats.isEmpty()
            ? "; name the file itself if it is called otherwise"
            : " but "
                + names(formats)
                + "; save it as safetensors first, for instance with save_pretrained");
  }

  private List<String> components() throws IOException {
    List<String> components = new ArrayList<>();
    try (Stream<Path> entries = Files.list(folder)) {
      for (Path entry : entries.filter(Files::isDirectory).sorted().toList()) {
        ModelFolder inner = new ModelFolder(entry);
        if (inner.bases.keySet().stream().anyMatch(KNOWN.asMatchPredicate())
            && !Snapshot.isSnapshot(entry)) {
          components.add(String.valueOf(entry.getFileName()));
        }
      }
    }
    return components;
  }

  private static String names(List<String> names) {
    return names.stream().limit(3).map(Text::quoted).collect(Collectors.joining(", "))
        + (names.size() > 3 ? " and " + (names.size() - 3) + " more" : "");
  }

  /**
   * Safetensors files beside a model that are no part of it, and how many tensors each holds, -1 if
   * its header cannot be read; none if the model's folder may be anything.
   *
   * @param component the folder that their names begin with; empty if it is the model's own
   */
  static Map<String, Integer> strays(SafetensorsModel model, String component) throws IOException {
    Map<String, Integer> strays = new TreeMap<>();
    Optional<Path> folder = model.folder();
    if (folder.isEmpty() || Snapshot.isSnapshot(folder.get())) {
      return strays;
    }
    Set<String> own =
        model.files().stream()
            .map(file -> String.valueOf(file.path().getFileName()))
            .collect(Collectors.toSet());
    try (Stream<Path> entries = Files.list(folder.get())) {
      for (Path entry : entries.sorted(Comparator.comparing(Path::toString)).toList()) {
        String name = String.valueOf(entry.getFileName());
        if (name.endsWith(SUFFIX) && !own.contains(name) && Files.isRegularFile(entry)) {
          strays.put(component.isEmpty() ? name : component + "/" + name, tensorsIn(entry));
        }
      }
    }
    return strays;
  }

  private static int tensorsIn(Path file) throws IOException {
    try (SafetensorsFile opened = SafetensorsFile.open(file)) {
      return opened.entries().size();
    } catch (FormatException e) {
      return -1;
    }
  }
}
