package dev.lionstore.checkpoint;

import dev.lionstore.TensorSpec;
import dev.lionstore.Utf8Order;
import dev.lionstore.rule.Plane;
import dev.lionstore.safetensors.DeclaredTensor;
import dev.lionstore.safetensors.SafetensorsModel;
import dev.lionstore.safetensors.SafetensorsType;
import dev.lionstore.safetensors.ShardPlan;
import dev.lionstore.store.StateView;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;

/**
 * The files of a snapshot that hold tensors, as they lie in the memory of a state, and which of
 * their blocks hold which elements. Blocks are numbered through all files.
 */
final class SnapshotImage {
  private final List<BlockFile> files = new ArrayList<>();
  private final Map<String, byte[]> indexes = new HashMap<>();
  private final List<Integer> firstBlocks = new ArrayList<>();
  private final List<Key> keys = new ArrayList<>();
  private final List<List<Place>> places = new ArrayList<>();

  /** Where a tensor's values in a plane lie. */
  private record Place(int firstBlock, long offset, int elementBytes) {}

  /** When a step comes to a block: by what it holds at its beginning. */
  private record Key(int late, int tensor, long element, int block) {}

  /** What a declared tensor is: values of a plane, or (-1) carried bytes. */
  private record Content(int tensor, Plane plane, MemorySegment memory) {}

  /**
   * The image of a state.
   *
   * @param maxShardBytes the largest shard's data, in bytes
   */
  SnapshotImage(StateView view, Carried carried, long maxShardBytes) throws IOException {
    List<TensorSpec> tensors = view.layout().tensors();
    tensors.forEach(_ -> places.add(new ArrayList<>()));
    Map<String, Content> model = new HashMap<>();
    List<DeclaredTensor> declared = new ArrayList<>(carried.tensors());
    for (DeclaredTensor tensor : declared) {
      model.put(tensor.name(), new Content(-1, Plane.WEIGHTS, carried.data(tensor.name())));
    }
    Map<String, Content> optimizer = new HashMap<>();
    List<DeclaredTensor> state = new ArrayList<>();
    for (int t = 0; t < tensors.size(); t++) {
      TensorSpec tensor = tensors.get(t);
      for (Plane plane : view.layout().planesOf(tensor)) {
        boolean weights = plane.equals(Plane.WEIGHTS);
        String name = Snapshot.nameIn(tensor, plane);
        SafetensorsType type = weights ? SafetensorsType.BF16 : type(plane);
        (weights ? declared : state).add(new DeclaredTensor(name, type, tensor.shape()));
        (weights ? model : optimizer).put(name, new Content(t, plane, view.values(plane, t)));
      }
    }
    declared.sort(Comparator.comparing(DeclaredTensor::name, Utf8Order.COMPARATOR));
    Map<String, String> forTransformers = Map.of("format", "pt");
    add(
        ShardPlan.of(SafetensorsModel.MODEL, declared, maxShardBytes),
        model,
        forTransformers,
        view);
    add(ShardPlan.of(SnapshotFiles.OPTIMIZER, state, maxShardBytes), optimizer, Map.of(), view);
  }

  private static SafetensorsType type(Plane plane) {
    return SafetensorsType.valueOf(plane.type().name());
  }

  private void add(
      ShardPlan plan, Map<String, Content> contents, Map<String, String> metadata, StateView view)
      throws IOException {
    for (ShardPlan.Shard shard : plan.shards()) {
      List<Content> content =
          shard.tensors().stream().map(tensor -> contents.get(tensor.name())).toList();
      List<MemorySegment> parts = new ArrayList<>();
      parts.add(MemorySegment.ofBuffer(shard.header(metadata)));
      content.forEach(part -> parts.add(part.memory()));
      add(new BlockFile(shard.fileName(), parts), content, view);
    }
    if (plan.hasIndex()) {
      indexes.put(plan.indexName(), plan.index());
    }
  }

  private void add(BlockFile file, List<Content> content, StateView view) {
    int first = keys.size();
    for (int c = 0; c < content.size(); c++) {
      Content part = content.get(c);
      if (part.tensor() >= 0) {
        int elementBytes = part.plane().type().bytes();
        places.get(part.tensor()).add(new Place(first, file.offsetOfPart(c + 1), elementBytes));
      }
    }
    for (int b = 0; b < file.blocks(); b++) {
      int part = Math.max(1, file.partAt(BlockFile.offset(b)));
      keys.add(
          part > content.size()
              ? new Key(1, 0, 0, first + b)
              : key(content.get(part - 1), BlockFile.offset(b) - file.offsetOfPart(part), view));
    }
    files.add(file);
    firstBlocks.add(first);
  }

  private Key key(Content content, long offset, StateView view) {
    boolean stepped =
        content.tensor() >= 0 && view.layout().tensors().get(content.tensor()).trainable();
    long element = Math.max(0, offset) / content.plane().type().bytes();
    return new Key(stepped ? 0 : 1, content.tensor(), element, keys.size());
  }

  /** The files with tensors. */
  List<BlockFile> files() {
    return files;
  }

  /** The content of each index file, by name; none if there is one shard of a kind. */
  Map<String, byte[]> indexes() {
    return indexes;
  }

  /** What the files take, in bytes. */
  long bytes() {
    return files.stream().mapToLong(BlockFile::bytes).sum();
  }

  /** All blocks, first those that a step over every tensor changes first. */
  int[] blocksInStepOrder() {
    return keys.stream()
        .sorted(
            Comparator.comparingInt(Key::late)
                .thenComparingInt(Key::tensor)
                .thenComparingLong(Key::element)
                .thenComparingInt(Key::block))
        .mapToInt(Key::block)
        .toArray();
  }

  /** The index of the file that a block is of. */
  int fileOf(int block) {
    int low = 0;
    int high = files.size();
    while (high - low > 1) {
      int middle = (low + high) >>> 1;
      if (firstBlocks.get(middle) <= block) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return low;
  }

  /** A block's number in its file. */
  int blockInFile(int block) {
    return block - firstBlocks.get(fileOf(block));
  }

  /**
   * Copies a block.
   *
   * @return the CRC-32C of what was copied
   */
  int gather(int block, MemorySegment buffer) {
    int file = fileOf(block);
    return files.get(file).gather(block - firstBlocks.get(file), buffer);
  }

  /** Names every block that holds some of these elements, in whatever plane. */
  void forEachBlock(int tensor, long from, long to, IntConsumer use) {
    for (Place place : places.get(tensor)) {
      long begin = place.offset() + from * place.elementBytes();
      long end = place.offset() + to * place.elementBytes();
      int first = place.firstBlock() + (int) (begin / BlockFile.BLOCK_BYTES);
      int last = place.firstBlock() + (int) ((end - 1) / BlockFile.BLOCK_BYTES);
      IntStream.rangeClosed(first, last).forEach(use);
    }
  }
}
