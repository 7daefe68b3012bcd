package dev.lionstore.checkpoint;

import dev.lionstore.TensorSpec;
import dev.lionstore.Utf8Order;
import dev.lionstore.rule.Plane;
import dev.lionstore.safetensors.DeclaredTensor;
import dev.lionstore.safetensors.ShardPlan;
import dev.lionstore.state.StateView;
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
  private record Place(int firstBlock, long offset, Plane.Type type) {}

  /** When a step comes to a block: by what it holds at its beginning. */
  private record Key(Order order, int tensor, long element, int block) {}

  private enum Order {
    STEPPED,
    NEVER_CHANGED
  }

  /**
   * A tensor of a file.
   *
   * @param tensor whose values it is, an index in the layout; -1 if it is carried
   * @param order whether a step changes it
   * @param type of the plane; any if it is carried
   */
  private record Content(
      DeclaredTensor declared, int tensor, Order order, Plane.Type type, MemorySegment values) {
    Content called(String name) {
      DeclaredTensor same = new DeclaredTensor(name, declared.type(), declared.shape());
      return new Content(same, tensor, order, type, values);
    }
  }

  /**
   * The image of a state.
   *
   * @param maxShardBytes the largest shard's data, in bytes
   */
  SnapshotImage(StateView view, CarriedContent carried, long maxShardBytes) throws IOException {
    List<Content> model = new ArrayList<>();
    for (DeclaredTensor tensor : carried.tensors()) {
      MemorySegment data = carried.data(tensor.name());
      model.add(new Content(tensor, -1, Order.NEVER_CHANGED, Plane.Type.BF16, data));
    }
    List<Content> optimizer = new ArrayList<>();
    List<TensorSpec> tensors = view.layout().tensors();
    for (int t = 0; t < tensors.size(); t++) {
      places.add(new ArrayList<>());
      for (Plane plane : view.layout().planesOf(tensors.get(t))) {
        (plane.equals(Plane.WEIGHTS) ? model : optimizer).add(content(view, plane, t));
      }
    }
    Origin origin = carried.origin();
    for (Map.Entry<String, String> tied : origin.tiedInSnapshot().entrySet()) {
      model.stream()
          .filter(content -> content.declared().name().equals(tied.getValue()))
          .findFirst()
          .ifPresent(content -> model.add(content.called(tied.getKey())));
    }
    model.sort(Comparator.comparing(content -> content.declared().name(), Utf8Order.COMPARATOR));
    add(origin.snapshotName(), model, maxShardBytes, Map.of("format", "pt"));
    add(SnapshotFiles.OPTIMIZER, optimizer, maxShardBytes, Map.of());
  }

  private static Content content(StateView view, Plane plane, int tensor) {
    TensorSpec spec = view.layout().tensors().get(tensor);
    return new Content(
        Snapshot.declared(spec, plane),
        tensor,
        spec.trainable() ? Order.STEPPED : Order.NEVER_CHANGED,
        plane.type(),
        view.values(plane, tensor));
  }

  private void add(
      String prefix, List<Content> contents, long maxShardBytes, Map<String, String> metadata)
      throws IOException {
    Map<String, Content> byName = new HashMap<>();
    contents.forEach(content -> byName.put(content.declared().name(), content));
    List<DeclaredTensor> declared = contents.stream().map(Content::declared).toList();
    ShardPlan plan = ShardPlan.of(prefix, declared, maxShardBytes);
    for (ShardPlan.Shard shard : plan.shards()) {
      List<Content> own = shard.tensors().stream().map(t -> byName.get(t.name())).toList();
      List<MemorySegment> parts = new ArrayList<>();
      parts.add(MemorySegment.ofBuffer(shard.header(metadata)));
      own.forEach(content -> parts.add(content.values()));
      add(new BlockFile(shard.fileName(), parts), own);
    }
    if (plan.hasIndex()) {
      indexes.put(plan.indexName(), plan.index());
    }
  }

  /** The file's first part is its header. */
  private void add(BlockFile file, List<Content> contents) {
    int first = keys.size();
    for (int c = 0; c < contents.size(); c++) {
      Content content = contents.get(c);
      if (content.tensor() >= 0) {
        long offset = file.offsetOfPart(c + 1);
        places.get(content.tensor()).add(new Place(first, offset, content.type()));
      }
    }
    for (int b = 0; b < file.blocks(); b++) {
      int part = Math.max(1, file.partAt(BlockFile.offset(b)));
      if (part > contents.size()) {
        keys.add(new Key(Order.NEVER_CHANGED, 0, 0, first + b));
      } else {
        Content content = contents.get(part - 1);
        long offset = Math.max(0, BlockFile.offset(b) - file.offsetOfPart(part));
        long element = offset / content.type().blockBytes() * content.type().blockValues();
        keys.add(new Key(content.order(), content.tensor(), element, first + b));
      }
    }
    files.add(file);
    firstBlocks.add(first);
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

  /** How many blocks all files have. */
  int blockCount() {
    return keys.size();
  }

  /** All blocks, first those that a step over every tensor changes first. */
  int[] blocksInStepOrder() {
    return keys.stream()
        .sorted(
            Comparator.comparing(Key::order)
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
      long begin = place.offset() + place.type().bytes(from);
      long end = place.offset() + place.type().bytes(to);
      int first = place.firstBlock() + (int) (begin / BlockFile.BLOCK_BYTES);
      int last = place.firstBlock() + (int) ((end - 1) / BlockFile.BLOCK_BYTES);
      IntStream.rangeClosed(first, last).forEach(use);
    }
  }
}
