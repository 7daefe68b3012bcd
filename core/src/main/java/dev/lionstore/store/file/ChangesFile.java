package dev.lionstore.store.file;

import dev.lionstore.FormatException;
import dev.lionstore.TensorSpec;
import dev.lionstore.os.MappedFile;
import dev.lionstore.os.Posix;
import dev.lionstore.rule.Master;
import dev.lionstore.state.NoSpaceException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * The file {@code changes}: masters that take the place of others between two steps. It is there
 * from when a change is decided until it is complete; whoever finds it writes all of it again,
 * which gives the same bits however much had been written. Little-endian:
 *
 * <pre>
 *  offset  size  field
 *       0     8  magic "LIONCHNG"
 *       8     4  version
 *      12     4  CRC-32C of the bytes from offset 16 to the end of the last run
 *      16    16  store id
 *      32     8  generation of the header that it follows
 *      40     8  step
 *      48     8  bytes of the runs
 *      56     4  bytes of the new position; -1 if the old one stays
 *      60     4  0
 *      64        the new position
 *  run after run, each on 8 bytes:
 *       0     4  tensor
 *       4     4  count of elements
 *       8     8  index of the first element
 *      16        the masters, float32
 * </pre>
 *
 * It is filled as {@code changes.new} and renamed when it is whole: a writer that dies before has
 * changed nothing. It counts as long as the header that it follows is the newest one: the next
 * header is written when everything has been changed.
 */
public class ChangesFile implements AutoCloseable {
  public static final String NAME = "changes";

  private static final String NEW_NAME = NAME + ".new";
  private static final long MAGIC = 0x474E48434E4F494CL;
  private static final int VERSION = 1;
  private static final int CRC_OFFSET = 12;
  private static final int BODY_OFFSET = 16;
  private static final int GENERATION_OFFSET = 32;
  private static final int STEP_OFFSET = 40;
  private static final int RUN_BYTES_OFFSET = 48;
  private static final int POSITION_BYTES_OFFSET = 56;
  private static final int POSITION_OFFSET = 64;
  private static final int NO_POSITION = -1;
  private static final int RUN_HEAD_BYTES = 16;

  /** What is written at once. */
  private static final int PIECE_ELEMENTS = 4096;

  /** What a checksum is taken of at once, in bytes. */
  private static final long CRC_PIECE_BYTES = 1L << 30;

  private static final ValueLayout.OfLong I64 =
      ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt I32 =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort I16 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final Path directory;
  private final LayoutFile layout;
  private final Path path;
  private final Path newPath;

  /** What is being filled or applied. */
  private @Nullable MappedFile file;

  public ChangesFile(Path directory, LayoutFile layout) {
    this.directory = directory;
    this.layout = layout;
    this.path = directory.resolve(NAME);
    this.newPath = directory.resolve(NEW_NAME);
  }

  /** What there is beside a header. */
  public enum Found {
    NONE,
    /** A file that no longer counts. */
    STALE,
    /** A change that has been decided and may be half done. */
    PENDING
  }

  /**
   * Consecutive masters of a tensor.
   *
   * @param tensor its index in the layout
   * @param from the index of the first element
   * @param masters float32, little-endian
   */
  public record Run(int tensor, long from, MemorySegment masters) {
    public int count() {
      return (int) (masters.byteSize() / Float.BYTES);
    }

    public long to() {
      return from + count();
    }
  }

  /** Whether somebody has begun to fill it and ended before it counted. */
  public boolean isBegun() {
    return Files.exists(newPath);
  }

  public boolean exists() {
    return Files.exists(path);
  }

  /**
   * Looks whether a change is to be finished.
   *
   * @throws FormatException if it cannot be: the file is damaged, or of another store
   */
  public Found find(Header newest) throws IOException {
    if (!exists()) {
      return Found.NONE;
    }
    if (newest.phase() == Header.Phase.CLEAN) {
      // The file was gone when the store was closed; after a power loss its name can come back.
      return Found.STALE;
    }
    try (MappedFile found = MappedFile.openReadOnly(path, Files.size(path))) {
      MemorySegment memory = found.memory();
      requireIntact(memory);
      long generation = memory.get(I64, GENERATION_OFFSET);
      if (generation < newest.generation()) {
        return Found.STALE;
      }
      require("generation", generation, newest.generation());
      require("step", memory.get(I64, STEP_OFFSET), newest.step());
      require("phase of the store's header", newest.phase(), Header.Phase.IDLE);
      forEachRun(memory, this::requirePossible);
      return Found.PENDING;
    }
  }

  private void requireIntact(MemorySegment memory) throws FormatException {
    if (memory.byteSize() < POSITION_OFFSET || memory.get(I64, 0) != MAGIC) {
      throw new FormatException(path, "not a store's changes: the magic number is another");
    }
    require("version", memory.get(I32, 8), VERSION);
    int position = memory.get(I32, POSITION_BYTES_OFFSET);
    long runs = memory.get(I64, RUN_BYTES_OFFSET);
    boolean fits =
        position >= NO_POSITION
            && position <= layout.positionCapacity()
            && runs >= 0
            && runs <= memory.byteSize() - runsOffset(position);
    if (!fits) {
      throw new FormatException(path, "its parts are longer than the file");
    }
    require("CRC-32C", memory.get(I32, CRC_OFFSET), crc(memory));
    UUID id = new UUID(memory.get(I64, BODY_OFFSET), memory.get(I64, BODY_OFFSET + 8));
    require("store id", id, layout.storeId());
  }

  private void requirePossible(Run run) {
    TensorSpec spec = layout.layout().tensors().get(run.tensor());
    if (run.from() < 0 || run.to() > spec.count()) {
      throw new IndexOutOfBoundsException("run of " + spec.name());
    }
  }

  private void require(String field, Object found, Object expected) throws FormatException {
    if (!found.equals(expected)) {
      throw new FormatException(path, field, found, expected);
    }
  }

  /** What a run takes, in bytes. */
  public static long runBytes(long count) {
    return RUN_HEAD_BYTES + padded(count * Float.BYTES);
  }

  private static long padded(long bytes) {
    return Math.ceilDiv(bytes, 8L) * 8;
  }

  private static long runsOffset(int positionBytes) {
    return POSITION_OFFSET + padded(Math.max(0, positionBytes));
  }

  /**
   * Makes room for a change; nothing counts yet.
   *
   * @param follows the newest header
   * @param runBytes what its runs take
   * @return where the runs go
   * @throws NoSpaceException if the disk has no room; nothing is left there
   */
  public MemorySegment create(Header follows, Optional<byte[]> position, long runBytes)
      throws IOException {
    int positionBytes = position.map(bytes -> bytes.length).orElse(NO_POSITION);
    long size = MappedFile.wholePages(runsOffset(positionBytes) + runBytes);
    MemorySegment memory = allocate(size).memory();
    memory.set(I64, 0, MAGIC);
    memory.set(I32, 8, VERSION);
    memory.set(I64, BODY_OFFSET, layout.storeId().getMostSignificantBits());
    memory.set(I64, BODY_OFFSET + 8, layout.storeId().getLeastSignificantBits());
    memory.set(I64, GENERATION_OFFSET, follows.generation());
    memory.set(I64, STEP_OFFSET, follows.step());
    memory.set(I64, RUN_BYTES_OFFSET, runBytes);
    memory.set(I32, POSITION_BYTES_OFFSET, positionBytes);
    position.ifPresent(bytes ->
        MemorySegment.copy(bytes, 0, memory, ValueLayout.JAVA_BYTE, POSITION_OFFSET, bytes.length));
    return memory.asSlice(runsOffset(positionBytes), runBytes);
  }

  private MappedFile allocate(long size) throws IOException {
    Files.deleteIfExists(newPath);
    long usable = directory.toFile().getUsableSpace();
    if (usable < size) {
      throw NoSpaceException.forChanges(directory, size, usable);
    }
    try {
      allocateBlocks(newPath, size);
      MappedFile made = MappedFile.openWritable(newPath, size);
      file = made;
      return made;
    } catch (FileSystemException e) {
      discard();
      if (String.valueOf(e.getReason()).startsWith("No space left")) {
        throw NoSpaceException.forChanges(directory, size, directory.toFile().getUsableSpace());
      }
      throw e;
    } catch (IOException | RuntimeException | Error e) {
      discard();
      throw e;
    }
  }

  public void allocateBlocks(Path file, long size) throws IOException {
    Posix.createForMapping(file, size);
  }

  /**
   * Begins a run.
   *
   * @param runs where the runs go
   * @param at where this one begins
   * @return where its masters go
   */
  public static MemorySegment putRun(
      MemorySegment runs, long at, int tensor, long from, int count) {
    runs.set(I32, at, tensor);
    runs.set(I32, at + 4, count);
    runs.set(I64, at + 8, from);
    return runs.asSlice(at + RUN_HEAD_BYTES, (long) count * Float.BYTES);
  }

  /** Ends the filling: everything is there. */
  public void seal() {
    MemorySegment memory = mapped().memory();
    memory.set(I32, CRC_OFFSET, crc(memory));
  }

  /** From here on the change will happen, whatever dies. */
  public void commit() throws IOException {
    Files.move(newPath, path, StandardCopyOption.ATOMIC_MOVE);
  }

  /** Removes what has not been committed. */
  public void discard() throws IOException {
    close();
    Files.deleteIfExists(newPath);
  }

  /** Maps a change that was found pending. */
  public void open() throws IOException {
    file = MappedFile.openReadOnly(path, Files.size(path));
  }

  /** The change is complete, or what is there does not count. */
  public void delete() throws IOException {
    close();
    Files.deleteIfExists(path);
  }

  /** Where the position is to be another, that one. */
  public Optional<byte[]> position() {
    MemorySegment memory = mapped().memory();
    int bytes = memory.get(I32, POSITION_BYTES_OFFSET);
    return bytes == NO_POSITION
        ? Optional.empty()
        : Optional.of(memory.asSlice(POSITION_OFFSET, bytes).toArray(ValueLayout.JAVA_BYTE));
  }

  /** What the runs take, in bytes. */
  public long runBytes() {
    return mapped().memory().get(I64, RUN_BYTES_OFFSET);
  }

  /** Gives every run, in the order of the file. */
  public void forEachRun(Consumer<Run> consumer) throws FormatException {
    forEachRun(mapped().memory(), consumer);
  }

  private void forEachRun(MemorySegment memory, Consumer<Run> consumer) throws FormatException {
    long begin = runsOffset(memory.get(I32, POSITION_BYTES_OFFSET));
    MemorySegment runs = memory.asSlice(begin, memory.get(I64, RUN_BYTES_OFFSET));
    for (long at = 0; at < runs.byteSize(); ) {
      Run run;
      try {
        int count = runs.get(I32, at + 4);
        MemorySegment masters = runs.asSlice(at + RUN_HEAD_BYTES, (long) count * Float.BYTES);
        run = new Run(runs.get(I32, at), runs.get(I64, at + 8), masters);
        requirePossible(run);
      } catch (IndexOutOfBoundsException e) {
        throw new FormatException(path, "run at byte " + (begin + at) + " is beyond its tensor");
      }
      consumer.accept(run);
      at += runBytes(run.count());
    }
  }

  /**
   * Writes a run into the planes.
   *
   * @param weights the tensor's
   * @param remainder the tensor's
   */
  public void apply(Run run, MemorySegment weights, MemorySegment remainder) {
    MemorySegment high = weights.asSlice(2 * run.from(), 2L * run.count());
    MemorySegment low = remainder.asSlice(2 * run.from(), 2L * run.count());
    int[] bits = new int[Math.min(run.count(), PIECE_ELEMENTS)];
    short[] halves = new short[bits.length];
    for (int at = 0; at < run.count(); at += bits.length) {
      int count = Math.min(bits.length, run.count() - at);
      MemorySegment.copy(run.masters(), I32, 4L * at, bits, 0, count);
      for (int i = 0; i < count; i++) {
        halves[i] = Master.weights(bits[i]);
      }
      MemorySegment.copy(halves, 0, high, I16, 2L * at, count);
      for (int i = 0; i < count; i++) {
        halves[i] = Master.remainder(bits[i]);
      }
      MemorySegment.copy(halves, 0, low, I16, 2L * at, count);
    }
  }

  private MappedFile mapped() {
    MappedFile open = file;
    if (open == null) {
      throw new IllegalStateException("no change is under way");
    }
    return open;
  }

  private static int crc(MemorySegment memory) {
    long end =
        runsOffset(memory.get(I32, POSITION_BYTES_OFFSET)) + memory.get(I64, RUN_BYTES_OFFSET);
    CRC32C crc = new CRC32C();
    for (long at = BODY_OFFSET; at < end; at += CRC_PIECE_BYTES) {
      crc.update(memory.asSlice(at, Math.min(CRC_PIECE_BYTES, end - at)).asByteBuffer());
    }
    return (int) crc.getValue();
  }

  /** Gives the memory back; what is committed stays. */
  @Override
  public void close() throws IOException {
    MappedFile open = file;
    file = null;
    if (open != null) {
      open.close();
    }
  }
}
