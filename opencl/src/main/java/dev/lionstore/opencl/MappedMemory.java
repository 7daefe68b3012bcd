package dev.lionstore.opencl;

import dev.lionstore.mapping.MappedFile;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * A mapped file as a device sees it in place: windows side by side, none larger than the device
 * allows, all on page boundaries. Windows never overlap: OpenCL leaves open what overlapping ones
 * would see.
 */
final class MappedMemory implements AutoCloseable {
  private final MemorySegment memory;
  private final long windowBytes;
  private final List<DeviceBuffer> windows = new ArrayList<>();

  /**
   * Makes the windows.
   *
   * @param memory of the file, from a page on
   * @param most the most bytes of a window
   */
  MappedMemory(Context context, MemorySegment memory, long most) {
    this.memory = memory;
    long pages = Math.max(1, most / MappedFile.PAGE_BYTES) * MappedFile.PAGE_BYTES;
    this.windowBytes = Math.min(pages, memory.byteSize());
    try {
      for (long at = 0; at < memory.byteSize(); at += windowBytes) {
        long bytes = Math.min(windowBytes, memory.byteSize() - at);
        windows.add(DeviceBuffer.over(context, memory.asSlice(at, bytes)));
      }
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  /** Whether a part of some memory is a part of this file. */
  boolean contains(MemorySegment part) {
    return part.isNative()
        && part.address() >= memory.address()
        && part.address() + part.byteSize() <= memory.address() + memory.byteSize();
  }

  /** The file's memory. */
  MemorySegment memory() {
    return memory;
  }

  /** The window that an address is in. */
  DeviceBuffer window(long address) {
    return windows.get((int) ((address - memory.address()) / windowBytes));
  }

  /** Where it is in its window, in bytes. */
  long offset(long address) {
    return (address - memory.address()) % windowBytes;
  }

  /** How many bytes its window has from there on. */
  long left(long address) {
    return window(address).bytes() - offset(address);
  }

  @Override
  public void close() {
    windows.forEach(DeviceBuffer::close);
    windows.clear();
  }
}
