package dev.lionstore.safetensors;

import dev.lionstore.FormatException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A safetensors file, checked in full and mapped read-only. It owns the mapping: {@link #close()}
 * ends every segment it gave out, and using one then throws {@code IllegalStateException}.
 * Thread-safe. The file must not be truncated while it is open: reading a page that is gone throws
 * {@code InternalError}.
 */
public final class SafetensorsFile implements AutoCloseable {
  private final Path path;
  private final FileHeader header;
  private final Map<String, TensorEntry> byName;
  private final Arena arena;
  private final long dataOffset;
  private final MemorySegment dataSection;

  private SafetensorsFile(
      Path path, FileHeader header, Arena arena, long dataOffset, MemorySegment file) {
    this.path = path;
    this.header = header;
    this.arena = arena;
    this.dataOffset = dataOffset;
    this.dataSection = file.asSlice(dataOffset);
    this.byName = HashMap.newHashMap(header.entries().size());
    header.entries().forEach(entry -> byName.put(entry.name(), entry));
  }

  /**
   * Opens a file and checks its header against its size. Takes memory in proportion to the header,
   * at most 100,000,000 bytes long, and none for the data.
   *
   * @throws java.nio.file.NoSuchFileException if there is no such file
   * @throws FormatException if it is no regular file or breaks a rule of the format
   */
  public static SafetensorsFile open(Path path) throws IOException {
    requireRegularFile(path);
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      long fileBytes = channel.size();
      byte[] json = new byte[headerBytes(path, channel, fileBytes)];
      readFully(path, channel, ByteBuffer.wrap(json), SafetensorsFormat.LENGTH_BYTES);
      long dataOffset = (long) SafetensorsFormat.LENGTH_BYTES + json.length;
      FileHeader header = HeaderReader.read(path, json, fileBytes - dataOffset);
      return map(path, header, channel, dataOffset);
    }
  }

  /** The path it was opened by. */
  public Path path() {
    return path;
  }

  /**
   * Where the data section begins, in bytes from the start of the file; a tensor lies behind it.
   */
  public long dataOffset() {
    return dataOffset;
  }

  /** The strings under {@code __metadata__}, in file order; empty if there are none. */
  public Map<String, String> metadata() {
    return header.metadata();
  }

  /** All tensors by ascending place in the file; unmodifiable. */
  public List<TensorEntry> entries() {
    return header.entries();
  }

  /** The tensor of that name. */
  public Optional<TensorEntry> entry(String name) {
    return Optional.ofNullable(byName.get(name));
  }

  /**
   * The bytes of a tensor, read-only and owned by this file: {@code entry.bytes()} of them,
   * little-endian, not necessarily aligned to the element.
   *
   * @throws IllegalArgumentException if the entry is not one of this file's
   */
  public MemorySegment data(TensorEntry entry) {
    if (!entry.equals(byName.get(entry.name()))) {
      throw new IllegalArgumentException("entry is " + entry + ", which " + path + " has not");
    }
    return dataSection.asSlice(entry.begin(), entry.bytes());
  }

  /** Unmaps the file. Closing twice does nothing. */
  @Override
  public synchronized void close() {
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }

  /** Refuses what is no regular file: opening a pipe would block. */
  static void requireRegularFile(Path path) throws IOException {
    BasicFileAttributes attributes = Files.readAttributes(path, BasicFileAttributes.class);
    if (!attributes.isRegularFile()) {
      throw new FormatException(
          path,
          "kind",
          attributes.isDirectory() ? "a folder" : "a device or pipe",
          "a regular file");
    }
  }

  private static int headerBytes(Path path, FileChannel channel, long fileBytes)
      throws IOException {
    HeaderReader.requireRoom(path, fileBytes);
    ByteBuffer length =
        ByteBuffer.allocate(SafetensorsFormat.LENGTH_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    readFully(path, channel, length, 0);
    return HeaderReader.length(path, length.getLong(0), fileBytes);
  }

  private static void readFully(Path path, FileChannel channel, ByteBuffer target, long offset)
      throws IOException {
    while (target.hasRemaining()) {
      if (channel.read(target, offset + target.position()) < 0) {
        throw new FormatException(path, "size", "shrinking while it is read", "a finished file");
      }
    }
  }

  @SuppressWarnings("MustBeClosedChecker") // The file owns the arena from here on.
  private static SafetensorsFile map(
      Path path, FileHeader header, FileChannel channel, long dataOffset) throws IOException {
    List<TensorEntry> entries = header.entries();
    long dataBytes = entries.isEmpty() ? 0 : entries.getLast().end();
    Arena arena = Arena.ofShared();
    try {
      // From offset 0: it is the page that is mapped, whatever the header's length.
      MemorySegment file =
          channel.map(FileChannel.MapMode.READ_ONLY, 0, dataOffset + dataBytes, arena);
      return new SafetensorsFile(path, header, arena, dataOffset, file);
    } catch (IOException | RuntimeException | Error e) {
      arena.close();
      throw e;
    }
  }
}
