package dev.lionstore.checkpoint;

import dev.lionstore.safetensors.DeclaredTensor;
import dev.lionstore.safetensors.SafetensorsFile;
import dev.lionstore.safetensors.SafetensorsModel;
import dev.lionstore.safetensors.SafetensorsType;
import dev.lionstore.safetensors.SafetensorsWriter;
import dev.lionstore.safetensors.TensorEntry;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * What belongs to a model without being trained: its configuration and tokenizer files, and tensors
 * that are not floats. It goes into the store with the model and comes out with it. In a store it
 * stands in the folder {@code carried} and the file {@code carried.safetensors}.
 */
public final class Carried implements AutoCloseable {
  /** Types that a store trains; tensors of all others are carried. */
  static final Set<SafetensorsType> TRAINED_TYPES =
      Set.of(SafetensorsType.F32, SafetensorsType.F16, SafetensorsType.BF16);

  private static final String FILES = "carried";
  private static final String TENSORS = "carried.safetensors";

  private final List<Path> files;
  private final Map<TensorEntry, MemorySegment> tensors;
  private final AutoCloseable owner;

  private Carried(List<Path> files, Map<TensorEntry, MemorySegment> tensors, AutoCloseable owner) {
    this.files = List.copyOf(files);
    this.tensors = Map.copyOf(tensors);
    this.owner = owner;
  }

  /** Whether tensors of this type are trained rather than carried. */
  public static boolean isTrained(SafetensorsType type) {
    return TRAINED_TYPES.contains(type);
  }

  /** Nothing. */
  public static Carried nothing() {
    return new Carried(List.of(), Map.of(), () -> {});
  }

  /**
   * What a model or snapshot folder has beside its trained tensors; it lives as long as the model.
   *
   * @param reserved names of files that are left out
   * @param trained names of tensors that are left out
   */
  static Carried of(SafetensorsModel model, Set<String> reserved, Set<String> trained) {
    List<Path> files =
        model.otherFiles().stream()
            .filter(path -> !reserved.contains(String.valueOf(path.getFileName())))
            .toList();
    Map<TensorEntry, MemorySegment> tensors =
        model.tensors().stream()
            .filter(entry -> !trained.contains(entry.name()))
            .collect(Collectors.toMap(entry -> entry, entry -> model.data(entry.name())));
    return new Carried(files, tensors, () -> {});
  }

  /** What a store carries. */
  public static Carried ofStore(Path store) throws IOException {
    List<Path> files = List.of();
    Path folder = store.resolve(FILES);
    if (Files.isDirectory(folder)) {
      try (Stream<Path> entries = Files.list(folder)) {
        files = entries.sorted().toList();
      }
    }
    Path tensors = store.resolve(TENSORS);
    if (!Files.exists(tensors)) {
      return new Carried(files, Map.of(), () -> {});
    }
    SafetensorsFile file = SafetensorsFile.open(tensors);
    Map<TensorEntry, MemorySegment> data =
        file.entries().stream().collect(Collectors.toMap(entry -> entry, file::data));
    return new Carried(files, data, file);
  }

  /** Files in name order. */
  public List<Path> files() {
    return files;
  }

  /** Tensors, to be written beside the trained ones. */
  List<DeclaredTensor> tensors() {
    return tensors.keySet().stream().map(TensorEntry::declaration).toList();
  }

  /** The bytes of a carried tensor. */
  MemorySegment data(String name) {
    return tensors.entrySet().stream()
        .filter(entry -> entry.getKey().name().equals(name))
        .findFirst()
        .orElseThrow()
        .getValue();
  }

  /** Puts everything into a store that is being made, synced. */
  void writeInto(Path store) throws IOException {
    if (!files.isEmpty()) {
      Files.createDirectory(store.resolve(FILES));
      copyFilesInto(store.resolve(FILES));
    }
    if (!tensors.isEmpty()) {
      List<DeclaredTensor> declared = tensors();
      try (SafetensorsWriter writer =
          SafetensorsWriter.create(store.resolve(TENSORS), declared, Map.of())) {
        for (DeclaredTensor tensor : declared) {
          writer.write(tensor.name(), data(tensor.name()));
        }
        writer.finish();
      }
    }
  }

  /** Copies the files into a folder, synced; existing ones are not replaced. */
  void copyFilesInto(Path folder) throws IOException {
    for (Path file : files) {
      Path copy = Files.copy(file, folder.resolve(file.getFileName()));
      try (FileChannel channel = FileChannel.open(copy, StandardOpenOption.READ)) {
        channel.force(true);
      }
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
