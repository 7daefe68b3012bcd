package dev.lionstore.checkpoint;

import dev.lionstore.TensorSpec;
import dev.lionstore.Utf8Order;
import dev.lionstore.mapping.NewFolder;
import dev.lionstore.rule.Plane;
import dev.lionstore.safetensors.DeclaredTensor;
import dev.lionstore.safetensors.SafetensorsModel;
import dev.lionstore.safetensors.SafetensorsType;
import dev.lionstore.safetensors.ShardedWriter;
import dev.lionstore.store.StateView;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongConsumer;

/** Writes a store's or snapshot's model as a Hugging Face folder. */
public final class ModelExport {
  /** The largest shard unless asked otherwise, in bytes; as transformers does. */
  public static final long DEFAULT_SHARD_BYTES = 5_000_000_000L;

  private static final int PIECE_ELEMENTS = 1 << 18;

  private ModelExport() {}

  /** What is written of each parameter. */
  public enum Form {
    /** The weights that the model computes with, 2 bytes. */
    WEIGHTS,
    /** The exact master, 4 bytes. */
    MASTER
  }

  /**
   * Exports, complete or not at all.
   *
   * @param target where the folder will be: nothing or an empty folder
   * @param maxShardBytes the largest shard's data, in bytes
   * @param progress told the bytes written since the last call
   */
  public static void run(
      StateView view,
      Carried carried,
      Path target,
      Form form,
      long maxShardBytes,
      LongConsumer progress)
      throws IOException {
    Places.requireOutside(target);
    try (NewFolder folder = NewFolder.create(target)) {
      FreeSpace.require("an export", target, folder.path(), modelBytes(view, carried, form));
      writeModel(view, carried, folder.path(), form, maxShardBytes, progress);
      carried.copyFilesInto(folder.path());
      view.requireUnchanged();
      folder.publish();
    }
  }

  /** What the model's tensors and the files beside them take, headers and index aside. */
  static long modelBytes(StateView view, Carried carried, Form form) throws IOException {
    int parameterBytes = form == Form.MASTER ? Float.BYTES : Plane.WEIGHTS.type().bytes();
    return Math.addExact(
        Math.multiplyExact(view.layout().parameterCount(), (long) parameterBytes), carried.bytes());
  }

  /** Writes the model's shards into a folder, synced. */
  static void writeModel(
      StateView view,
      Carried carried,
      Path folder,
      Form form,
      long maxShardBytes,
      LongConsumer progress)
      throws IOException {
    SafetensorsType type = form == Form.MASTER ? SafetensorsType.F32 : SafetensorsType.BF16;
    List<DeclaredTensor> declared = new ArrayList<>(carried.tensors());
    Map<String, Integer> trained = new HashMap<>();
    List<TensorSpec> tensors = view.layout().tensors();
    for (int t = 0; t < tensors.size(); t++) {
      declared.add(new DeclaredTensor(tensors.get(t).name(), type, tensors.get(t).shape()));
      trained.put(tensors.get(t).name(), t);
    }
    declared.sort(Comparator.comparing(DeclaredTensor::name, Utf8Order.COMPARATOR));
    try (ShardedWriter writer =
        ShardedWriter.create(
            folder, SafetensorsModel.MODEL, declared, maxShardBytes, Map.of("format", "pt"))) {
      for (DeclaredTensor tensor : declared) {
        Integer index = trained.get(tensor.name());
        if (index != null && form == Form.MASTER) {
          writeMaster(view, index, tensor, writer, progress);
        } else {
          MemorySegment data =
              index == null ? carried.data(tensor.name()) : view.values(Plane.WEIGHTS, index);
          Pieces.forEach(data, progress, (_, piece) -> writer.write(tensor.name(), piece));
        }
      }
      writer.finish();
    }
  }

  private static void writeMaster(
      StateView view, int index, DeclaredTensor tensor, ShardedWriter writer, LongConsumer progress)
      throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment piece = arena.allocate((long) PIECE_ELEMENTS * Float.BYTES, Float.BYTES);
      long count = tensor.count();
      for (long from = 0; from < count; from += PIECE_ELEMENTS) {
        MemorySegment part = piece.asSlice(0, Math.min(PIECE_ELEMENTS, count - from) * Float.BYTES);
        view.copyMaster(index, from, part);
        writer.write(tensor.name(), part);
        progress.accept(part.byteSize());
      }
    }
  }
}
