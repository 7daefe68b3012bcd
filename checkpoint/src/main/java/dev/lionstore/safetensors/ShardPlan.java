package dev.lionstore.safetensors;

import java.util.ArrayList;
import java.util.List;

/**
 * Which tensor goes to which file, as {@code split_state_dict_into_shards_factory} of Hugging Face
 * decides it: tensors in the given order, a new shard where the next would exceed the limit, and a
 * shard of its own, listed before the one being filled, for a tensor over the limit.
 *
 * @param prefix the file names' beginning
 * @param shards in the order of their numbers, at least one
 */
record ShardPlan(String prefix, List<Shard> shards) {
  /**
   * One file.
   *
   * @param fileName without a folder
   * @param tensors in file order
   */
  record Shard(String fileName, List<DeclaredTensor> tensors) {}

  ShardPlan {
    shards = List.copyOf(shards);
  }

  static ShardPlan of(String prefix, List<DeclaredTensor> tensors, long maxShardBytes) {
    if (!Names.isShardName(prefix + SafetensorsFormat.SUFFIX)) {
      throw new IllegalArgumentException(
          "prefix is " + Names.quote(prefix) + ", expected the beginning of a plain file name");
    }
    if (maxShardBytes < 1) {
      throw new IllegalArgumentException(
          "maxShardBytes is " + maxShardBytes + ", expected at least 1");
    }
    HeaderEncoder.requireDistinct(tensors);
    List<List<DeclaredTensor>> split = split(tensors, maxShardBytes);
    List<Shard> shards = new ArrayList<>();
    for (int i = 0; i < split.size(); i++) {
      shards.add(new Shard(fileName(prefix, i + 1, split.size()), List.copyOf(split.get(i))));
    }
    return new ShardPlan(prefix, shards);
  }

  boolean hasIndex() {
    return shards.size() > 1;
  }

  String indexName() {
    return prefix + SafetensorsFormat.INDEX_SUFFIX;
  }

  /** The names of all files, shards before the index. */
  List<String> fileNames() {
    List<String> names = new ArrayList<>();
    shards.forEach(shard -> names.add(shard.fileName()));
    if (hasIndex()) {
      names.add(indexName());
    }
    return names;
  }

  private static List<List<DeclaredTensor>> split(List<DeclaredTensor> tensors, long most) {
    List<List<DeclaredTensor>> shards = new ArrayList<>();
    List<DeclaredTensor> filling = new ArrayList<>();
    long room = most;
    for (DeclaredTensor tensor : tensors) {
      if (tensor.bytes() > most) {
        shards.add(List.of(tensor));
        continue;
      }
      if (tensor.bytes() > room) {
        shards.add(filling);
        filling = new ArrayList<>();
        room = most;
      }
      filling.add(tensor);
      room -= tensor.bytes();
    }
    if (!filling.isEmpty() || shards.isEmpty()) {
      shards.add(filling);
    }
    return shards;
  }

  private static String fileName(String prefix, int number, int count) {
    return count == 1
        ? prefix + SafetensorsFormat.SUFFIX
        : "%s-%05d-of-%05d%s".formatted(prefix, number, count, SafetensorsFormat.SUFFIX);
  }
}
