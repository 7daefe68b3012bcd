package dev.lionstore.safetensors;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * Writes one safetensors file: header first, then the data, tensor by tensor in the declared order,
 * each in any number of pieces. {@link #finish()} syncs the file; closing without it deletes what
 * was written. The folder's entry is not synced. Not thread-safe.
 *
 * <p>Every I/O error is an {@code IOException} that names the file; after one, the writer accepts
 * only {@link #close()}.
 */
public final class SafetensorsWriter implements AutoCloseable {
  /** Heap pieces go through a native buffer of this size, which the JDK keeps per thread. */
  private static final long MAX_WRITE_BYTES = 1 << 20;

  private final NewFile file;
  private final List<DeclaredTensor> tensors;
  private int current;
  private long currentWritten;

  SafetensorsWriter(NewFile file, List<DeclaredTensor> tensors) {
    this.file = file;
    this.tensors = List.copyOf(tensors);
  }

  /**
   * Creates the file and writes its header, so that the data starts on a multiple of 8 bytes.
   *
   * @param path the file, which must not exist
   * @param tensors in the order in which their data will lie
   * @param metadata strings for {@code __metadata__}, written in the order of their keys' bytes
   * @throws java.nio.file.FileAlreadyExistsException if the file exists; it is left as it is
   * @throws IllegalArgumentException if a name comes twice, metadata is no well-formed Unicode or
   *     the header is over 100,000,000 bytes
   * @throws ArithmeticException if the data is over 2<sup>63</sup> - 1 bytes
   */
  public static SafetensorsWriter create(
      Path path, List<DeclaredTensor> tensors, Map<String, String> metadata) throws IOException {
    ByteBuffer header = HeaderEncoder.encode(tensors, metadata);
    NewFile file = NewFile.create(path);
    try {
      file.write(header);
      return new SafetensorsWriter(file, tensors);
    } catch (IOException e) {
      try (file) {
        throw e;
      }
    }
  }

  /**
   * Appends the next bytes of a tensor. An empty piece is accepted for any tensor at any time, so
   * that tensors without elements need no special case.
   *
   * @param name the first declared tensor that still lacks bytes
   * @param piece bytes as they go to the file, little-endian; the caller keeps it
   * @throws IllegalStateException if it is another tensor's turn, the piece is larger than what the
   *     tensor lacks, or the writer is finished, closed or failed
   */
  public void write(String name, MemorySegment piece) throws IOException {
    file.requireOpen();
    if (piece.byteSize() == 0) {
      return;
    }
    if (isComplete() || !name.equals(tensors.get(current).name()) || piece.byteSize() > missing()) {
      throw new IllegalStateException(
          "%d bytes of %s are written, expected %s"
              .formatted(piece.byteSize(), Names.quote(name), turn()));
    }
    for (long offset = 0; offset < piece.byteSize(); offset += MAX_WRITE_BYTES) {
      long size = Math.min(MAX_WRITE_BYTES, piece.byteSize() - offset);
      file.write(piece.asSlice(offset, size).asByteBuffer());
    }
    currentWritten += piece.byteSize();
  }

  /**
   * Syncs the file to the disk and keeps it.
   *
   * @throws IllegalStateException if a tensor lacks bytes
   */
  public void finish() throws IOException {
    file.requireOpen();
    if (!isComplete()) {
      throw new IllegalStateException("the file is finished, expected " + turn());
    }
    file.finish();
  }

  /** Deletes the file unless it was finished. */
  @Override
  public void close() throws IOException {
    file.close();
  }

  /** Whether all bytes are there. */
  boolean isComplete() {
    while (current < tensors.size() && missing() == 0) {
      current++;
      currentWritten = 0;
    }
    return current == tensors.size();
  }

  private long missing() {
    return tensors.get(current).bytes() - currentWritten;
  }

  private String turn() {
    return isComplete()
        ? "no more"
        : "%d bytes of %s first".formatted(missing(), Names.quote(tensors.get(current).name()));
  }
}
