package dev.lionstore.safetensors;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Predicate;

/**
 * A complete safetensors file that lies in memory, say as a part of another file. It is checked in
 * full, by the rules of {@link SafetensorsFile}. It aliases the bytes, which must not change.
 */
public final class SafetensorsBytes {
  private static final ValueLayout.OfLong LENGTH =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final FileHeader header;
  private final MemorySegment dataSection;

  private SafetensorsBytes(FileHeader header, MemorySegment dataSection) {
    this.header = header;
    this.dataSection = dataSection;
  }

  /**
   * Checks the header against the size. Takes memory in proportion to the header and none for the
   * data.
   *
   * @param origin the file that the bytes are from, for errors
   * @throws dev.lionstore.FormatException if a rule of the format is broken
   */
  public static SafetensorsBytes read(Path origin, MemorySegment bytes) throws IOException {
    HeaderReader.requireRoom(origin, bytes.byteSize());
    int headerBytes = HeaderReader.length(origin, bytes.get(LENGTH, 0), bytes.byteSize());
    byte[] json =
        bytes.asSlice(SafetensorsFormat.LENGTH_BYTES, headerBytes).toArray(ValueLayout.JAVA_BYTE);
    MemorySegment data = bytes.asSlice((long) SafetensorsFormat.LENGTH_BYTES + headerBytes);
    return new SafetensorsBytes(HeaderReader.read(origin, json, data.byteSize()), data);
  }

  /** All tensors by ascending place; unmodifiable. */
  public List<TensorEntry> entries() {
    return header.entries();
  }

  /**
   * The bytes of one of these tensors: {@code entry.bytes()} of them, little-endian, not
   * necessarily aligned to the element.
   */
  public MemorySegment data(TensorEntry entry) {
    return dataSection.asSlice(entry.begin(), entry.bytes());
  }

  /** A complete file of the tensors of these names, in this order, and of the same metadata. */
  public byte[] matching(Predicate<String> names) throws IOException {
    List<TensorEntry> kept = entries().stream().filter(entry -> names.test(entry.name())).toList();
    List<DeclaredTensor> declared = kept.stream().map(TensorEntry::declaration).toList();
    ByteArrayOutputStream file = new ByteArrayOutputStream();
    file.writeBytes(HeaderEncoder.encode(declared, header.metadata()).array());
    kept.forEach(entry -> file.writeBytes(data(entry).toArray(ValueLayout.JAVA_BYTE)));
    return file.toByteArray();
  }
}
