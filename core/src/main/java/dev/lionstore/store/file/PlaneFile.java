package dev.lionstore.store.file;

import dev.lionstore.FormatException;
import dev.lionstore.os.MappedFile;
import dev.lionstore.rule.Plane;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.UUID;

/**
 * A file {@code NAME.plane}: a page that says which plane it is, then the plane. Little-endian:
 *
 * <pre>
 *  offset  size  field
 *       0     8  magic "LIONPLAN"
 *       8     4  version
 *      12     4  bytes of the name
 *      16    16  store id
 *      32     8  the step that the plane was last published with; of gradients: unused
 *      40     8  the mark of the intent that is to be applied to it, or from it (see {@link Mark})
 *      48     8  the mark of the intent that has begun to be applied to it; of gradients: unused
 *      56        name, UTF-8
 *    4096 + s    the values, in blocks of {@link Plane.Type#blockBytes}
 * </pre>
 *
 * s differs from plane to plane, so that values of one element lie in different sets of the first
 * cache. With one s for all, planes whose size is near a power of two displaced one another there
 * (tools/measure/BENCHMARKS.md).
 */
public class PlaneFile {
  private static final int VERSION = 3;
  private static final int STAGGER_BYTES = 1024;
  private static final long MAGIC = 0x4E414C504E4F494CL;
  private static final int STEP_OFFSET = 32;
  private static final int MARK_OFFSET = 40;
  private static final int BEGUN_OFFSET = 48;
  private static final int NAME_OFFSET = 56;
  private static final ValueLayout.OfLong I64 =
      ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt I32 =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final MappedFile file;
  private final Plane plane;
  private final long dataOffset;

  /**
   * A mapped plane.
   *
   * @param index among the planes of the store, from 0; the gradient plane is the last
   */
  public PlaneFile(MappedFile file, Plane plane, int index) {
    this.file = file;
    this.plane = plane;
    this.dataOffset = dataOffset(index);
  }

  /** The offset of a plane's first value, a multiple of 512 bytes. */
  private static long dataOffset(int index) {
    int turn = MappedFile.PAGE_BYTES / STAGGER_BYTES;
    return MappedFile.PAGE_BYTES
        + (long) index % turn * STAGGER_BYTES
        + (long) index / turn % 2 * (STAGGER_BYTES / 2);
  }

  /** The offset in its file of a plane's value. */
  public static long offset(Plane plane, int index, long element) {
    return dataOffset(index) + plane.type().bytes(element);
  }

  public static String name(Plane plane) {
    return plane.name() + ".plane";
  }

  public static long size(Plane plane, int index, Geometry geometry) {
    long values = plane.type().bytes(geometry.elements(plane));
    return MappedFile.wholePages(dataOffset(index) + values);
  }

  public MappedFile file() {
    return file;
  }

  public Plane plane() {
    return plane;
  }

  /** Writes the first page of a new file. */
  public void initialise(UUID storeId) {
    MemorySegment page = file.memory();
    byte[] name = plane.name().getBytes(StandardCharsets.UTF_8);
    page.set(I64, 0, MAGIC);
    page.set(I32, 8, VERSION);
    page.set(I32, 12, name.length);
    page.set(I64, 16, storeId.getMostSignificantBits());
    page.set(I64, 24, storeId.getLeastSignificantBits());
    MemorySegment.copy(MemorySegment.ofArray(name), 0, page, NAME_OFFSET, name.length);
  }

  /** Checks that this is the plane of this store. */
  public void requireOf(UUID storeId) throws FormatException {
    MemorySegment page = file.memory();
    if (page.get(I64, 0) != MAGIC) {
      throw new FormatException(file.path(), "not a plane: the magic number is another");
    }
    require("version", page.get(I32, 8), VERSION);
    UUID found = new UUID(page.get(I64, 16), page.get(I64, 24));
    require("store id", found, storeId);
    int length = Math.clamp(page.get(I32, 12), 0, MappedFile.PAGE_BYTES - NAME_OFFSET);
    byte[] name = page.asSlice(NAME_OFFSET, length).toArray(ValueLayout.JAVA_BYTE);
    require("plane", new String(name, StandardCharsets.UTF_8), plane.name());
  }

  /** The step that it was last published with. */
  public long step() {
    return file.memory().get(I64, STEP_OFFSET);
  }

  /** Says which step all of it is at. */
  public void publish(long step) {
    file.memory().set(I64, STEP_OFFSET, step);
  }

  /** The intent that was last applied to it. */
  public long mark() {
    return file.memory().get(I64, MARK_OFFSET);
  }

  /** Says which intent is about to be applied to it, or from it. */
  public void tieTo(long mark) {
    file.memory().set(I64, MARK_OFFSET, mark);
  }

  /** The intent that has begun to be applied to it. */
  public long begun() {
    return file.memory().get(I64, BEGUN_OFFSET);
  }

  /** Says that an intent counts, and that the plane will change. */
  public void markBegun(long mark) {
    file.memory().set(I64, BEGUN_OFFSET, mark);
  }

  /** The offset of its first value in the file. */
  public long firstValue() {
    return dataOffset;
  }

  /** Consecutive values. */
  public MemorySegment values(long firstElement, long count) {
    Plane.Type type = plane.type();
    return file.memory().asSlice(dataOffset + type.bytes(firstElement), type.bytes(count));
  }

  private void require(String field, Object found, Object expected) throws FormatException {
    if (!found.equals(expected)) {
      throw new FormatException(file.path(), field, found, expected);
    }
  }
}
