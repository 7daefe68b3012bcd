package dev.lionstore.safetensors;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Which tensor goes to which file, as {@code split_state_dict_into_shards_factory} of Hugging Face
 * decides it: tensors in the given order, a new shard where the next would exceed the limit, and a
 * shard of its own, listed before the one being filled, for a tensor over the limit.
 *
 * @param prefix the file names' beginning
 * @param shards in the order of their numbers, at least one
 */
public record ShardPlan(String prefix, List<Shard> shards) {
  /**
   * One file.
   *
   * @param fileName without a folder
   * @param tensors in file order
   */
  public record Shard(String fileName, List<DeclaredTensor> tensors) {
    /** Copies the list. */
    public Shard {
      tensors = List.copyOf(tensors);
    }

    /**
     * The bytes of the file before the first tensor's; the others follow without a gap.
     *
     * @param metadata strings for {@code __metadata__}
     * @throws IllegalArgumentException if metadata is no well-formed Unicode or the header is over
     *     100,000,000 bytes
     */
    public ByteBuffer header(Map<String, String> metadata) throws IOException {
      return HeaderEncoder.encode(tensors, metadata);
    }
  }

  /** Copies the list. */
  public ShardPlan {
    shards = List.copyOf(shards);
  }

  /**
   * Plans.
   *
   * @param prefix how the file names begin
   * @param tensors in the order in which they fill the shards
   * @param maxShardBytes the limit for a shard's data in bytes, at least 1
   * @throws IllegalArgumentException if a name comes twice or an argument is outside its bounds
   */
  public static ShardPlan of(String prefix, List<DeclaredTensor> tensors, long maxShardBytes) {
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
      shards.add(new Shard(fileName(prefix, i + 1, split.size()), split.get(i)));
    }
    return new ShardPlan(prefix, shards);
  }

  /** Whether there are several shards, so that an index says where each tensor is. */
  public boolean hasIndex() {
    return shards.size() > 1;
  }

  /** The index's file name. */
  public String indexName() {
    return prefix + SafetensorsFormat.INDEX_SUFFIX;
  }

  /** The content of the index. */
  public byte[] index() throws IOException {
    return ShardIndex.encode(this);
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
