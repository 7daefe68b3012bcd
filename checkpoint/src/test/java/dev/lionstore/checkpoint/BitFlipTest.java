package dev.lionstore.checkpoint;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.FormatException;
import dev.lionstore.fuzz.InMemory;
import dev.lionstore.safetensors.SafetensorsFile;
import dev.lionstore.safetensors.TensorEntry;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Single flipped bits in a snapshot of shards, indexes, carried tensors and files and a position:
 * opening or verifying it names the file, and the tensor whose values they are.
 */
class BitFlipTest {
  private static final int PAGE_BYTES = 4096;
  private static final long ONE_SHARD = 1L << 40;
  private static final long SEED = System.nanoTime();

  @TempDir(factory = InMemory.class)
  Path folder;

  @ParameterizedTest
  @ValueSource(longs = {14, ONE_SHARD})
  void everyBitOfEveryFileCounts(long maxShardBytes) throws IOException {
    Path snapshot =
        snapshot(
            maxShardBytes,
            Models.floats("a/b", "F32", List.of(3L), 1),
            Models.floats("norm.w", "BF16", List.of(2L, 2L), 2),
            Models.floats("\u00e9 \uD83E\uDD81", "F16", List.of(5L), 3),
            new RawTensor("ids", "I64", List.of(1L), new byte[8]));
    List<String> names = Models.names(snapshot);
    long files = names.stream().filter(name -> name.endsWith(".safetensors")).count();
    assertTrue(maxShardBytes == ONE_SHARD ? files == 2 : files > 4, names::toString);
    assertTrue(names.containsAll(List.of("position.bin", "manifest.json", "config.json")));
    long flips = 0;
    for (String name : names) {
      for (long bit = 0; bit < Byte.SIZE * Files.size(snapshot.resolve(name)); bit++) {
        assertDetected(snapshot, name, bit);
        flips++;
      }
    }
    check(snapshot);
    assertTrue(flips > 10_000, flips + " flips");
  }

  @Test
  void aBitInEveryPageOfTensorsLargerThanAChunkCounts() throws IOException {
    long values = SnapshotFiles.CHUNK_BYTES / 2 + 3 * PAGE_BYTES;
    Path snapshot =
        snapshot(
            ONE_SHARD,
            Models.floats("a/b", "BF16", List.of(values), 1),
            Models.floats("norm.w", "F32", List.of(PAGE_BYTES / 2L), 2),
            new RawTensor("ids", "I64", List.of(PAGE_BYTES / 4L), new byte[2 * PAGE_BYTES]));
    SplittableRandom random = new SplittableRandom(SEED);
    long flips = 0;
    for (String name : Models.names(snapshot)) {
      long bytes = Files.size(snapshot.resolve(name));
      for (long page = 0; page < bytes; page += PAGE_BYTES) {
        long last = Math.min(bytes, page + PAGE_BYTES);
        assertDetected(snapshot, name, random.nextLong(Byte.SIZE * page, Byte.SIZE * last));
        flips++;
      }
    }
    check(snapshot);
    assertTrue(flips > 2 * SnapshotFiles.CHUNK_BYTES / PAGE_BYTES, flips + " flips");
  }

  /** The first tensor is frozen: half as many bytes to read for each flip. */
  private Path snapshot(long maxShardBytes, RawTensor... tensors) throws IOException {
    Path model = Models.folder(folder, "model", List.of(tensors));
    Files.writeString(model.resolve("config.json"), "{}\n");
    Path store = folder.resolve("store");
    ModelImport.run(model, store, Models.grouped(), bytes -> {});
    Models.step(store, 0, 1);
    return Models.snapshot(store, folder.resolve("snapshots"), maxShardBytes);
  }

  private static void assertDetected(Path snapshot, String name, long bit) throws IOException {
    Path file = snapshot.resolve(name);
    String tensor = tensorAt(file, bit / Byte.SIZE);
    flip(file, bit);
    String what = name + " bit " + bit + ", seed " + SEED;
    FormatException e = assertThrows(FormatException.class, () -> check(snapshot), what);
    String message = String.valueOf(e.getMessage());
    assertTrue(message.contains(name), () -> what + ": " + message);
    // Of many tensors in a chunk the first four are named, and the others counted.
    boolean named = message.contains(tensor) || message.contains(" more) is ");
    assertTrue(named, () -> what + ": " + message);
    flip(file, bit);
  }

  /** The tensor in quotes if the byte is one of its values. */
  private static String tensorAt(Path file, long offset) throws IOException {
    if (!file.toString().endsWith(".safetensors")) {
      return "";
    }
    try (SafetensorsFile open = SafetensorsFile.open(file)) {
      long inData = offset - open.dataOffset();
      return open.entries().stream()
          .filter(entry -> entry.begin() <= inData && inData < entry.end())
          .map(TensorEntry::name)
          .map(Text::quoted)
          .findFirst()
          .orElse("");
    }
  }

  private static void flip(Path file, long bit) throws IOException {
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      ByteBuffer one = ByteBuffer.allocate(1);
      channel.read(one, bit / Byte.SIZE);
      one.put(0, (byte) (one.get(0) ^ 1 << bit % Byte.SIZE)).rewind();
      channel.write(one, bit / Byte.SIZE);
    }
  }

  private static void check(Path snapshot) throws IOException {
    try (Snapshot open = Snapshot.open(snapshot)) {
      open.verify(bytes -> {});
    }
  }
}
