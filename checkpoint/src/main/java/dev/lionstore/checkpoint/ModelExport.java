package dev.lionstore.checkpoint;

import dev.lionstore.FormatException;
import dev.lionstore.TensorSpec;
import dev.lionstore.Utf8Order;
import dev.lionstore.os.NewFolder;
import dev.lionstore.os.Posix;
import dev.lionstore.rule.Plane;
import dev.lionstore.safetensors.DeclaredTensor;
import dev.lionstore.safetensors.SafetensorsType;
import dev.lionstore.safetensors.ShardedWriter;
import dev.lionstore.state.StateView;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.LongConsumer;
import java.util.stream.Collectors;

/** Writes a store's or snapshot's model as a Hugging Face folder. */
public final class ModelExport {
  /** The largest shard unless asked otherwise, in bytes; as transformers does. */
  public static final long DEFAULT_SHARD_BYTES = 5_000_000_000L;

  private static final int PIECE_ELEMENTS = 1 << 18;
  private static final ValueLayout.OfFloat F32 =
      ValueLayout.JAVA_FLOAT.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort I16 =
      ValueLayout.JAVA_SHORT.withOrder(ByteOrder.LITTLE_ENDIAN);

  private ModelExport() {}

  /** What is written of each parameter. What is carried leaves as it came, whatever the form. */
  public enum Form {
    /** The type in which it came; bf16 if nothing tells it. */
    KEPT,
    /** The weights that the model computes with, 2 bytes. */
    WEIGHTS,
    /** The exact master, 4 bytes. */
    MASTER,
    /** The master rounded to float16, ties to even, 2 bytes. */
    HALF
  }

  /**
   * Exports, complete or not at all.
   *
   * @param target where the folder will be: nothing or an empty folder
   * @param maxShardBytes the largest shard's data, in bytes
   * @param progress told the bytes written since the last call
   * @throws FormatException naming a parameter and its element that float16 cannot hold
   */
  public static void run(
      StateView view,
      CarriedContent carried,
      Path target,
      Form form,
      long maxShardBytes,
      LongConsumer progress)
      throws IOException {
    NestedFolders.requireOutside(target);
    try (NewFolder folder = NewFolder.create(target)) {
      FreeSpace.require("an export", target, folder.path(), modelBytes(view, carried, form));
      Path weights = Files.createDirectories(folder.path().resolve(carried.origin().folder()));
      writeModel(view, carried, weights, form, maxShardBytes, progress);
      Posix.sync(weights);
      carried.copyFilesInto(folder.path(), configuration(view, carried, form));
      view.requireUnchanged();
      folder.publish();
    }
  }

  /** The type of a parameter's values in the files. */
  private static SafetensorsType type(Origin origin, String tensor, Form form) {
    return switch (form) {
      case KEPT -> origin.type(tensor);
      case WEIGHTS -> SafetensorsType.BF16;
      case MASTER -> SafetensorsType.F32;
      case HALF -> SafetensorsType.F16;
    };
  }

  /** The configuration, where it tells another type than the files will hold. */
  private static Map<String, byte[]> configuration(
      StateView view, CarriedContent carried, Form form) throws IOException {
    Origin origin = carried.origin();
    boolean asItCame = form == Form.KEPT && origin.isOfFiles();
    String name = origin.beside(ConfigFile.NAME);
    Optional<Path> config = carried.file(name);
    Set<SafetensorsType> types =
        declared(view, origin, form).stream().map(DeclaredTensor::type).collect(Collectors.toSet());
    if (config.isEmpty() || asItCame || types.size() != 1) {
      return Map.of();
    }
    byte[] json = Files.readAllBytes(config.get());
    return Map.of(name, ConfigFile.withType(json, types.iterator().next()));
  }

  /** What the model's tensors and the files beside them take, headers and index aside. */
  public static long modelBytes(StateView view, CarriedContent carried, Form form)
      throws IOException {
    long bytes = carried.bytes();
    for (DeclaredTensor tensor : declared(view, carried.origin(), form)) {
      bytes = Math.addExact(bytes, tensor.bytes());
    }
    return bytes;
  }

  /** The parameters under all their names. */
  private static List<DeclaredTensor> declared(StateView view, Origin origin, Form form) {
    List<DeclaredTensor> declared = new ArrayList<>();
    Map<String, TensorSpec> byName = new HashMap<>();
    for (TensorSpec tensor : view.layout().tensors()) {
      byName.put(tensor.name(), tensor);
      SafetensorsType type = type(origin, tensor.name(), form);
      declared.add(new DeclaredTensor(tensor.name(), type, tensor.shape()));
    }
    origin
        .tied()
        .forEach((name, of) -> {
          TensorSpec tensor = byName.get(of);
          if (tensor != null && !byName.containsKey(name)) {
            declared.add(new DeclaredTensor(name, type(origin, of, form), tensor.shape()));
          }
        });
    return declared;
  }

  /** Writes the model's shards into a folder, synced. */
  static void writeModel(
      StateView view,
      CarriedContent carried,
      Path folder,
      Form form,
      long maxShardBytes,
      LongConsumer progress)
      throws IOException {
    Origin origin = carried.origin();
    Map<String, Integer> indexes = new HashMap<>();
    view.layout().tensors().forEach(tensor -> indexes.put(tensor.name(), indexes.size()));
    origin.tied().forEach((name, of) -> indexes.putIfAbsent(name, indexes.getOrDefault(of, -1)));
    List<DeclaredTensor> declared = new ArrayList<>(carried.tensors());
    declared.addAll(declared(view, origin, form));
    declared.sort(Comparator.comparing(DeclaredTensor::name, Utf8Order.COMPARATOR));
    try (ShardedWriter writer =
        ShardedWriter.create(
            folder, origin.baseName(), declared, maxShardBytes, Map.of("format", "pt"))) {
      for (DeclaredTensor tensor : declared) {
        Integer index = indexes.get(tensor.name());
        if (index == null || index < 0) {
          writeBytes(carried.data(tensor.name()), tensor, writer, progress);
        } else if (tensor.type() == SafetensorsType.BF16) {
          writeBytes(view.values(Plane.WEIGHTS, index), tensor, writer, progress);
        } else {
          writeMaster(view, index, tensor, writer, progress);
        }
      }
      writer.finish();
    }
  }

  private static void writeBytes(
      MemorySegment data, DeclaredTensor tensor, ShardedWriter writer, LongConsumer progress)
      throws IOException {
    SegmentEquality.forEach(data, progress, (_, piece) -> writer.write(tensor.name(), piece));
  }

  private static void writeMaster(
      StateView view, int index, DeclaredTensor tensor, ShardedWriter writer, LongConsumer progress)
      throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      long count = tensor.count();
      long most = Math.min(PIECE_ELEMENTS, count);
      MemorySegment piece = arena.allocate(most * Float.BYTES, Float.BYTES);
      for (long from = 0; from < count; from += PIECE_ELEMENTS) {
        MemorySegment part = piece.asSlice(0, Math.min(PIECE_ELEMENTS, count - from) * Float.BYTES);
        view.copyMaster(index, from, part);
        if (tensor.type() == SafetensorsType.F16) {
          part = halved(view, tensor, from, part);
        }
        writer.write(tensor.name(), part);
        progress.accept(part.byteSize());
      }
    }
  }

  /** Rounds in place: a half lies before or in the float that it comes from. */
  private static MemorySegment halved(
      StateView view, DeclaredTensor tensor, long from, MemorySegment floats)
      throws FormatException {
    long count = floats.byteSize() / Float.BYTES;
    for (long i = 0; i < count; i++) {
      float value = floats.get(F32, i * Float.BYTES);
      short half = Float.floatToFloat16(value);
      if (Float.isInfinite(Float.float16ToFloat(half))) {
        throw new FormatException(
            view.directory(),
            "tensor " + Text.quoted(tensor.name()) + ", element " + (from + i),
            value,
            "a magnitude below 65520, as it is to be written as F16; export with --dtype bf16 or"
                + " f32");
      }
      floats.set(I16, i * Short.BYTES, half);
    }
    return floats.asSlice(0, count * Short.BYTES);
  }
}
