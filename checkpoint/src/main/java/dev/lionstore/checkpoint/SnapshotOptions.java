package dev.lionstore.checkpoint;

import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;

/**
 * How a snapshot is taken.
 *
 * @param maxShardBytes the largest shard's data, in bytes, at least 1
 * @param memoryBytes the most memory that it takes besides the state, at least {@link
 *     #LEAST_MEMORY_BYTES}; with more, steps that run meanwhile wait less for the disk
 * @param extras what the trainer keeps with this snapshot, by name: letters, digits, {@code _} and
 *     {@code -}, opaque bytes; they are checked as all files are, and are no part of the store
 */
public record SnapshotOptions(long maxShardBytes, long memoryBytes, Map<String, byte[]> extras) {
  /**
   * The least memory that a snapshot can be taken with: a block to write, one that a step saves,
   * and as much for threads and tables.
   */
  public static final long LEAST_MEMORY_BYTES = 3L * BlockFile.BLOCK_BYTES;

  /** The memory unless asked otherwise: 64 MiB. */
  public static final long DEFAULT_MEMORY_BYTES = 64L << 20;

  private static final Pattern EXTRA = Pattern.compile("[A-Za-z0-9_-]{1,100}");

  /** Copies the extras, but not their bytes, and refuses what is out of its bounds. */
  public SnapshotOptions {
    Manifest.require("largest shard", maxShardBytes >= 1, maxShardBytes, "at least 1 byte");
    Manifest.require(
        "memory for snapshots",
        memoryBytes >= LEAST_MEMORY_BYTES,
        memoryBytes + " bytes",
        "at least " + LEAST_MEMORY_BYTES);
    extras = new TreeMap<>(extras);
    for (String name : extras.keySet()) {
      Manifest.require(
          "name of an extra",
          EXTRA.matcher(name).matches(),
          Text.quoted(name),
          "1 to 100 letters, digits, _ and -");
    }
  }

  /** Shards of 5 GB, 64 MiB of memory, no extras. */
  public static SnapshotOptions defaults() {
    return new SnapshotOptions(ModelExport.DEFAULT_SHARD_BYTES, DEFAULT_MEMORY_BYTES, Map.of());
  }

  /** With another limit for shards. */
  public SnapshotOptions withMaxShardBytes(long bytes) {
    return new SnapshotOptions(bytes, memoryBytes, extras);
  }

  /** With another limit of memory. */
  public SnapshotOptions withMemoryBytes(long bytes) {
    return new SnapshotOptions(maxShardBytes, bytes, extras);
  }

  /** With what the trainer keeps with this snapshot. */
  public SnapshotOptions withExtras(Map<String, byte[]> bytesByName) {
    return new SnapshotOptions(maxShardBytes, memoryBytes, bytesByName);
  }
}
