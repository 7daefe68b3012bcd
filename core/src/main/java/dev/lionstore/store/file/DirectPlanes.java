package dev.lionstore.store.file;

import dev.lionstore.os.DirectAccess;
import dev.lionstore.os.MappedFile;
import dev.lionstore.rule.Plane;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The planes of a store past the page cache: for one that is larger than memory, whose pages would
 * be read, evicted and written back one by one.
 */
public class DirectPlanes implements AutoCloseable {
  private final List<DirectAccess> files;
  private final List<PlaneFile> planes;
  private final Geometry geometry;

  /**
   * Planes that are open.
   *
   * @param files the same ones in the same order as {@code planes}; owned
   */
  public DirectPlanes(List<DirectAccess> files, List<PlaneFile> planes, Geometry geometry) {
    this.files = files;
    this.planes = planes;
    this.geometry = geometry;
  }

  /** Opens the state's planes and the gradient plane; empty if their disk has no direct I/O. */
  public static Optional<DirectPlanes> open(StoreFiles store, StoreParts parts) throws IOException {
    List<DirectAccess> opened = new ArrayList<>();
    DirectPlanes all = parts.directPlanes(opened, store.eachPlane(), store.geometry());
    try {
      for (PlaneFile plane : store.eachPlane()) {
        Optional<DirectAccess> file = DirectAccess.open(plane.file().path());
        if (file.isEmpty()) {
          all.close();
          return Optional.empty();
        }
        opened.add(file.get());
      }
      return Optional.of(all);
    } catch (IOException | RuntimeException | Error e) {
      all.close();
      throw e;
    }
  }

  /** How many there are; the gradient plane, if there is one, is the last. */
  public int count() {
    return planes.size();
  }

  /** What a buffer for so many elements of a plane needs, in bytes, wherever they begin. */
  public long bufferBytes(int plane, long elements) {
    return bufferBytes(planes.get(plane).plane(), elements);
  }

  /** The same for a plane that is not open. */
  public static long bufferBytes(Plane plane, long elements) {
    return MappedFile.wholePages(plane.type().bytes(elements)) + MappedFile.PAGE_BYTES;
  }

  /**
   * The part of a buffer where elements lie as {@link #read} and {@link #write} want them.
   *
   * @param buffer begins with a page, and has {@link #bufferBytes}
   */
  public MemorySegment place(MemorySegment buffer, int plane, int tensor, long from, long count) {
    long begin = offset(plane, tensor, from) & (MappedFile.PAGE_BYTES - 1);
    return buffer.asSlice(begin, planes.get(plane).plane().type().bytes(count));
  }

  /** Reads elements of a tensor from a plane. */
  public void read(MemorySegment place, int plane, int tensor, long from) throws IOException {
    files.get(plane).read(place, offset(plane, tensor, from));
  }

  /** Writes elements of a tensor to a plane. */
  public void write(MemorySegment place, int plane, int tensor, long from) throws IOException {
    files.get(plane).write(place, offset(plane, tensor, from));
  }

  private long offset(int plane, int tensor, long from) {
    Plane of = planes.get(plane).plane();
    return PlaneFile.offset(of, plane, geometry.firstElement(of, tensor) + from);
  }

  @Override
  public void close() {
    files.forEach(DirectAccess::close);
  }
}
