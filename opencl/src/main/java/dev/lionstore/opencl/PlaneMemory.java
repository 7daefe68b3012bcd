package dev.lionstore.opencl;

import dev.lionstore.ElementType;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.os.MappedFile;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** Where the values of planes are. */
final class PlaneMemory {
  /** Kernels access 16 floats at once, aligned. */
  private static final int VECTOR_BYTES = 16 * Float.BYTES;

  private PlaneMemory() {}

  /** How the planes of a rule's state are stored, the master's first. */
  static List<Plane.Type> types(UpdateRule rule) {
    return rule.allPlanes().stream().map(Plane::type).toList();
  }

  /** A plane's type whose values are as large as a gradient's. */
  static Plane.Type typeOfSize(ElementType gradient) {
    return gradient.bytes() == Float.BYTES ? Plane.Type.F32 : Plane.Type.BF16;
  }

  /** What a kernel counts in when it is told where in a buffer values are, in bytes. */
  static int indexBytes(Plane.Type type) {
    return type.isBlocks() ? Integer.BYTES : type.blockBytes();
  }

  /** A count rounded up to what tensors are padded to. */
  static long padded(long count) {
    return Math.ceilDiv(count, (long) Kernel.ALIGNMENT) * Kernel.ALIGNMENT;
  }

  /** What values take of a buffer where those of another plane follow, in bytes. */
  static long room(Plane.Type type, long elements) {
    return Math.ceilDiv(type.bytes(elements), (long) VECTOR_BYTES) * VECTOR_BYTES;
  }

  /** The pages that some memory is in: all of it can be touched, whatever it belongs to. */
  @SuppressWarnings("restricted") // a page is there whole or not at all
  static MemorySegment pagesOf(MemorySegment memory) {
    long first = memory.address() / MappedFile.PAGE_BYTES * MappedFile.PAGE_BYTES;
    long bytes = MappedFile.wholePages(memory.address() + memory.byteSize() - first);
    MemorySegment pages = MemorySegment.ofAddress(first).reinterpret(bytes);
    return memory.isReadOnly() ? pages.asReadOnly() : pages;
  }
}
