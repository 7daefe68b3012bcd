package dev.lionstore.opencl;

import dev.lionstore.kernel.Kernel;
import dev.lionstore.os.MappedFile;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRule;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.stream.Stream;

/** Where the values of planes are. */
final class PlaneMemory {
  private PlaneMemory() {}

  /** Bytes of an element in each plane of a rule's state, the master's first. */
  static List<Integer> bytesPerElement(UpdateRule rule) {
    return Stream.concat(Plane.MASTER.stream(), rule.statePlanes().stream())
        .map(plane -> plane.type().blockBytes())
        .toList();
  }

  /** A count rounded up to what tensors are padded to. */
  static long padded(long count) {
    return Math.ceilDiv(count, (long) Kernel.ALIGNMENT) * Kernel.ALIGNMENT;
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
