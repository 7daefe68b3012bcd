package dev.lionstore.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import dev.lionstore.Utf8Order;
import dev.lionstore.store.StoreReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * What lies in a model's folder beside its weights.
 *
 * @param carried files that belong to the model, by name
 * @param leftOut paths in the folder that would be wrong beside changed weights, or are no files
 */
record FolderFiles(List<Named> carried, List<String> leftOut) {
  /**
   * Weights, also in other formats: beside changed tensors they would be stale, and large. The
   * names are those under which transformers, diffusers, ONNX, OpenVINO, Core ML, TensorFlow, Flax,
   * Paddle, llama.cpp and trainers' checkpoints keep them.
   */
  private static final List<String> WEIGHT_SUFFIXES =
      List.of(
          ".safetensors",
          ".safetensors.index.json",
          ".bin",
          ".bin.index.json",
          ".pt",
          ".pth",
          ".ckpt",
          ".h5",
          ".h5.index.json",
          ".keras",
          ".msgpack",
          ".msgpack.index.json",
          ".gguf",
          ".ggml",
          ".llamafile",
          ".ot",
          ".onnx",
          ".onnx_data",
          ".onnx.data",
          ".ort",
          ".tflite",
          ".task",
          ".litertlm",
          ".npz",
          ".npy",
          ".mlmodel",
          ".mlpackage",
          ".mlmodelc",
          ".pdparams",
          ".pdiparams",
          ".params",
          ".distcp",
          ".nemo",
          ".engine",
          ".pkl",
          ".pickle",
          ".joblib");

  private static final List<String> OTHER_WEIGHTS =
      List.of("openvino_model.xml", "saved_model.pb", "tf_model.index", "onnx_data");

  private static final Pattern WORK =
      Pattern.compile("checkpoint-[0-9]+|global_step[0-9]+|runs|wandb|logs|__pycache__");

  private static final int MAX_DEPTH = 8;

  /**
   * A file.
   *
   * @param name its path in the folder, with slashes
   * @param path where it is
   */
  record Named(String name, Path path) {}

  /** Whether a file is called like weights, in whatever format. */
  static boolean isWeights(String fileName) {
    String name = fileName.toLowerCase(Locale.ROOT);
    return WEIGHT_SUFFIXES.stream().anyMatch(name::endsWith)
        || name.contains(".safetensors.index.")
        || name.matches(".*\\.data-[0-9]{5}-of-[0-9]{5}")
        || OTHER_WEIGHTS.contains(name);
  }

  /**
   * Looks through a folder and those in it. A linked file is taken for what it links to, as in the
   * hub's cache; a linked folder is not followed.
   *
   * @throws java.nio.file.NotDirectoryException if it is no folder
   */
  static FolderFiles in(Path folder) throws IOException {
    return in(folder, "");
  }

  /**
   * The same for a model of several components.
   *
   * @param component the one whose weights are trained: they are left out; empty if none is
   */
  static FolderFiles in(Path folder, String component) throws IOException {
    List<Named> carried = new ArrayList<>();
    List<String> leftOut = new ArrayList<>();
    Set<String> components = components(folder);
    components.remove(component);
    walk(folder, "", components, carried, leftOut);
    return new FolderFiles(List.copyOf(carried), List.copyOf(leftOut));
  }

  private static void walk(
      Path folder, String prefix, Set<String> components, List<Named> carried, List<String> leftOut)
      throws IOException {
    for (Path path : sorted(folder)) {
      String fileName = String.valueOf(path.getFileName());
      String name = prefix + fileName;
      boolean isInComponent = components.contains(name.split("/", -1)[0]) && !prefix.isEmpty();
      if (Files.isDirectory(path)) {
        if (isPartOfModel(path, fileName, prefix)) {
          walk(path, name + "/", components, carried, leftOut);
        } else {
          leftOut.add(name + "/");
        }
      } else if (!Files.isRegularFile(path) || (isWeights(fileName) && !isInComponent)) {
        leftOut.add(name);
      } else {
        carried.add(new Named(name, path));
      }
    }
  }

  private static List<Path> sorted(Path folder) throws IOException {
    try (Stream<Path> paths = Files.list(folder)) {
      return paths.sorted(Comparator.comparing(Path::toString, Utf8Order.COMPARATOR)).toList();
    }
  }

  /**
   * Tools' own folders (.git, .cache), those of trainers that saved a model beside their work,
   * stores and snapshots are no part of a model.
   */
  private static boolean isPartOfModel(Path folder, String name, String prefix) {
    return !name.startsWith(".")
        && !(prefix.isEmpty() && WORK.matcher(name).matches())
        && !isWeights(name)
        && !Files.isSymbolicLink(folder)
        && Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)
        && prefix.chars().filter(c -> c == '/').count() < MAX_DEPTH
        && !StoreReader.isStore(folder)
        && !Snapshot.isSnapshot(folder);
  }

  /**
   * Folders with weights of their own that are parts of the whole: modules of sentence-transformers
   * and components of diffusers. What lies in others, such as {@code onnx}, are the same weights
   * once more.
   */
  private static Set<String> components(Path folder) throws IOException {
    Set<String> components = new HashSet<>();
    for (JsonNode module : ConfigFile.tree(folder.resolve("modules.json"))) {
      components.add(module.path("path").asText().split("/", -1)[0]);
    }
    ConfigFile.tree(folder.resolve(ConfigFile.PIPELINE))
        .properties()
        .forEach(member -> {
          if (member.getValue().isArray()) {
            components.add(member.getKey());
          }
        });
    components.remove("");
    return components;
  }
}
