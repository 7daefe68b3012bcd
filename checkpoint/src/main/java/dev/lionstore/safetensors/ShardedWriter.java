package dev.lionstore.safetensors;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Writes a model as Hugging Face does: {@code PREFIX.safetensors} if one shard is enough, else
 * {@code PREFIX-00001-of-0000N.safetensors} and {@code PREFIX.safetensors.index.json}.
 *
 * <p>Data may come in the declared order of the tensors, or in any other that keeps the order
 * within each shard. A shard is synced as soon as it is complete; {@link #finish()} writes the
 * index last. Closing without it deletes every file that was written. The folder's entries are not
 * synced. Not thread-safe.
 */
public final class ShardedWriter implements AutoCloseable {
  private final Path folder;
  private final ShardPlan plan;
  private final Map<String, String> metadata;
  private final Map<String, ShardPlan.Shard> shardOf = new HashMap<>();
  private final Map<String, SafetensorsWriter> open = new HashMap<>();
  private final List<Path> finished = new ArrayList<>();
  private boolean done;
  private boolean closed;

  private ShardedWriter(Path folder, ShardPlan plan, Map<String, String> metadata) {
    this.folder = folder;
    this.plan = plan;
    this.metadata = Map.copyOf(metadata);
    for (ShardPlan.Shard shard : plan.shards()) {
      shard.tensors().forEach(tensor -> shardOf.put(tensor.name(), shard));
    }
  }

  /**
   * Plans the files; creates none yet.
   *
   * @param folder an existing folder
   * @param prefix how the file names begin: {@code model} is what other programs look for
   * @param tensors in the order in which they fill the shards
   * @param maxShardBytes the limit for a shard's data in bytes, at least 1; a larger tensor gets a
   *     shard of its own
   * @param metadata strings for every shard's {@code __metadata__}; transformers wants {@code
   *     format} to be {@code pt} in a model
   * @throws FileAlreadyExistsException if a file that it would write exists
   * @throws IllegalArgumentException if a name comes twice or an argument is outside its bounds
   */
  public static ShardedWriter create(
      Path folder,
      String prefix,
      List<DeclaredTensor> tensors,
      long maxShardBytes,
      Map<String, String> metadata)
      throws IOException {
    ShardPlan plan = ShardPlan.of(prefix, tensors, maxShardBytes);
    for (String fileName : plan.fileNames()) {
      if (Files.exists(folder.resolve(fileName), LinkOption.NOFOLLOW_LINKS)) {
        throw new FileAlreadyExistsException(folder.resolve(fileName).toString());
      }
    }
    return new ShardedWriter(folder, plan, metadata);
  }

  /** The files that there will be: shards in order, then the index if there is one. */
  public List<Path> files() {
    return plan.fileNames().stream().map(folder::resolve).toList();
  }

  /**
   * Appends the next bytes of a tensor; an empty piece does nothing.
   *
   * @param name a declared tensor, the first of its shard that still lacks bytes
   * @param piece bytes as they go to the file, little-endian; the caller keeps it
   * @throws IllegalArgumentException if no such tensor was declared
   * @throws IllegalStateException if it is another tensor's turn in this shard, the piece is larger
   *     than what the tensor lacks, or the writer is finished or closed
   * @throws IOException naming the file, if it cannot be written; then only {@link #close()} works
   */
  public void write(String name, MemorySegment piece) throws IOException {
    requireOpen();
    ShardPlan.Shard shard = shardOf.get(name);
    if (shard == null) {
      throw new IllegalArgumentException(
          "tensor is " + Names.quote(name) + ", expected a declared one");
    }
    if (piece.byteSize() == 0) {
      return;
    }
    if (finished.contains(folder.resolve(shard.fileName()))) {
      throw new IllegalStateException(Names.quote(name) + " has all its bytes, expected no more");
    }
    SafetensorsWriter writer = writer(shard);
    writer.write(name, piece);
    if (writer.isComplete()) {
      finish(shard, writer);
    }
  }

  /**
   * Syncs what is not yet synced and writes the index.
   *
   * @throws IllegalStateException if a tensor lacks bytes
   */
  public void finish() throws IOException {
    requireOpen();
    for (ShardPlan.Shard shard : plan.shards()) {
      if (!finished.contains(folder.resolve(shard.fileName()))) {
        finish(shard, writer(shard));
      }
    }
    if (plan.hasIndex()) {
      try (NewFile index = NewFile.create(folder.resolve(plan.indexName()))) {
        index.write(ByteBuffer.wrap(plan.index()));
        index.finish();
      }
    }
    done = true;
  }

  /** Deletes all files unless they were finished. Closing twice does nothing. */
  @Override
  public void close() throws IOException {
    if (done || closed) {
      return;
    }
    closed = true;
    for (SafetensorsWriter writer : open.values()) {
      writer.close();
    }
    for (Path path : finished) {
      Files.deleteIfExists(path);
    }
  }

  private SafetensorsWriter writer(ShardPlan.Shard shard) throws IOException {
    SafetensorsWriter writer = open.get(shard.fileName());
    if (writer == null) {
      writer =
          SafetensorsWriter.create(folder.resolve(shard.fileName()), shard.tensors(), metadata);
      open.put(shard.fileName(), writer);
    }
    return writer;
  }

  private void finish(ShardPlan.Shard shard, SafetensorsWriter writer) throws IOException {
    writer.finish();
    open.remove(shard.fileName());
    finished.add(folder.resolve(shard.fileName()));
  }

  private void requireOpen() {
    if (done || closed) {
      throw new IllegalStateException(
          "the writer of " + plan.prefix() + " is " + (done ? "finished" : "closed"));
    }
  }
}
