package dev.lionstore.checkpoint;

import dev.lionstore.FormatException;
import dev.lionstore.TensorSpec;
import dev.lionstore.safetensors.DeclaredTensor;
import dev.lionstore.safetensors.SafetensorsBytes;
import dev.lionstore.safetensors.TensorEntry;
import dev.lionstore.state.StateView;
import dev.lionstore.store.StoreBuilder;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * A model's buffers, such as the running statistics of batch norm: no optimizer changes them, but
 * every step does. The trainer publishes them in the position, which the store writes atomically
 * with the step.
 *
 * <pre>
 * 0            8        16                      16+N          size
 * +------------+--------+-----------------------+-------------+
 * | "LIONBUF1" | N: u64 | safetensors file      | rest        |
 * +------------+--------+-----------------------+-------------+
 * </pre>
 *
 * N is little-endian and counts the bytes of a complete safetensors file. The rest is the trainer's
 * own. A position that does not begin with the 8 bytes publishes nothing. Immutable.
 */
public final class PublishedBuffers {
  private static final byte[] MAGIC = "LIONBUF1".getBytes(StandardCharsets.US_ASCII);
  private static final int LENGTH_OFFSET = 8;
  private static final int FILE_OFFSET = 16;
  private static final int MIN_FILE_BYTES = 10;

  private static final ValueLayout.OfLong LENGTH =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final byte[] position;
  private final int restOffset;
  private final Optional<SafetensorsBytes> file;
  private final Map<String, TensorEntry> byName = new HashMap<>();

  private PublishedBuffers(byte[] position, int restOffset, Optional<SafetensorsBytes> file) {
    this.position = position;
    this.restOffset = restOffset;
    this.file = file;
    entries().forEach(entry -> byName.put(entry.name(), entry));
  }

  /**
   * The buffers that the position of a store or snapshot publishes.
   *
   * @throws FormatException if they are cut short, break a rule of safetensors, or have the name of
   *     a tensor that the store trains or keeps frozen
   */
  public static PublishedBuffers of(StateView view) throws IOException {
    // A store's position has no file of its own; its header holds it.
    String name = view instanceof Snapshot ? SnapshotFiles.POSITION : "position";
    Path origin = view.directory().resolve(name);
    PublishedBuffers buffers = read(origin, view.position());
    for (TensorSpec tensor : view.layout().tensors()) {
      if (buffers.byName.containsKey(tensor.name())) {
        throw new FormatException(
            origin,
            "buffer " + Text.quoted(tensor.name()),
            "also a " + (tensor.trainable() ? "trained" : "frozen") + " tensor of the store",
            "a name of its own");
      }
    }
    return buffers;
  }

  private static PublishedBuffers read(Path origin, byte[] position) throws IOException {
    if (!startsWithMagic(position)) {
      return new PublishedBuffers(position, 0, Optional.empty());
    }
    MemorySegment bytes = MemorySegment.ofArray(position).asReadOnly();
    long most = bytes.byteSize() - FILE_OFFSET;
    if (most < MIN_FILE_BYTES) {
      int least = FILE_OFFSET + MIN_FILE_BYTES;
      throw new FormatException(
          origin, "size", bytes.byteSize() + " bytes", "at least " + least + " with buffers");
    }
    long found = bytes.get(LENGTH, LENGTH_OFFSET);
    // Compared before anything is added to it: N is unsigned, and N + 16 can wrap.
    if (found < MIN_FILE_BYTES || found > most) {
      throw new FormatException(
          origin,
          "bytes of buffers",
          Long.toUnsignedString(found),
          MIN_FILE_BYTES + " to " + most + ", which are there");
    }
    SafetensorsBytes file = SafetensorsBytes.read(origin, bytes.asSlice(FILE_OFFSET, found));
    return new PublishedBuffers(position, FILE_OFFSET + (int) found, Optional.of(file));
  }

  private static boolean startsWithMagic(byte[] position) {
    return position.length >= MAGIC.length
        && Arrays.equals(position, 0, MAGIC.length, MAGIC, 0, MAGIC.length);
  }

  /**
   * Whether a snapshot with one position will do where one with the other is wanted: they are
   * equal, or a trainer that publishes buffers has published another place after the same step, as
   * it does when it closes. The buffers are compared with the values.
   */
  static boolean areOfOneStep(byte[] position, byte[] other) {
    return Arrays.equals(position, other) || (startsWithMagic(position) && startsWithMagic(other));
  }

  private List<TensorEntry> entries() {
    return file.map(SafetensorsBytes::entries).orElse(List.of());
  }

  /** The buffers, in the trainer's order; none if the position publishes none. */
  public List<DeclaredTensor> tensors() {
    return entries().stream().map(TensorEntry::declaration).toList();
  }

  /**
   * A buffer's bytes, read-only and little-endian.
   *
   * @throws IllegalArgumentException if none has that name
   */
  MemorySegment data(String name) {
    TensorEntry entry = byName.get(name);
    if (entry == null) {
      throw new IllegalArgumentException("name is " + Text.quoted(name) + ", which is no buffer's");
    }
    return file.orElseThrow().data(entry);
  }

  /**
   * The position of a state that has only the tensors of these names: the same bytes if every
   * buffer stays, else with a shorter file. The rest stays as it is.
   */
  byte[] positionOf(Predicate<String> names) throws IOException {
    if (byName.keySet().stream().allMatch(names)) {
      return position.clone();
    }
    byte[] kept = file.orElseThrow().matching(names);
    int restBytes = position.length - restOffset;
    return ByteBuffer.allocate(FILE_OFFSET + kept.length + restBytes)
        .order(ByteOrder.LITTLE_ENDIAN)
        .put(MAGIC)
        .putLong(kept.length)
        .put(kept)
        .put(position, restOffset, restBytes)
        .array();
  }

  /**
   * The room that a store needs for positions like this, in bytes: a trainer's own bytes may grow,
   * up to the usual capacity, beside its buffers.
   */
  int positionCapacity() {
    int restBytes = position.length - restOffset;
    int most = Math.max(StoreBuilder.DEFAULT_POSITION_CAPACITY, restBytes) + restOffset;
    return Math.min(SnapshotFiles.MAX_POSITION_BYTES, most);
  }
}
