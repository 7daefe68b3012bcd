package dev.lionstore.opencl;

import dev.lionstore.opencl.driver.Context;
import dev.lionstore.opencl.driver.DeviceBuffer;
import dev.lionstore.opencl.driver.OutOfDeviceMemoryException;
import dev.lionstore.opencl.driver.Queue;
import dev.lionstore.os.MappedFile;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * A mapped file as a device sees it: windows side by side, none larger than the device allows, all
 * on page boundaries. Windows never overlap: OpenCL leaves open what overlapping ones would see.
 * They are the file's memory itself, or have room for a copy of it.
 */
final class MappedMemory implements AutoCloseable {
  private final MemorySegment memory;
  private final long windowBytes;
  private final List<DeviceBuffer> windows = new ArrayList<>();

  /** Makes the window of a part of the memory. */
  private interface Maker {
    DeviceBuffer window(MemorySegment part);
  }

  private MappedMemory(MemorySegment memory, long most, Maker maker) {
    this.memory = memory;
    long pages = Math.max(1, most / MappedFile.PAGE_BYTES) * MappedFile.PAGE_BYTES;
    this.windowBytes = Math.min(pages, memory.byteSize());
    try {
      for (long at = 0; at < memory.byteSize(); at += windowBytes) {
        long bytes = Math.min(windowBytes, memory.byteSize() - at);
        windows.add(maker.window(memory.asSlice(at, bytes)));
      }
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  /**
   * The file's memory itself.
   *
   * @param memory of the file, from a page on
   * @param most the most bytes of a window
   */
  static MappedMemory inPlace(Context context, MemorySegment memory, long most) {
    return new MappedMemory(memory, most, part -> DeviceBuffer.over(context, part));
  }

  /**
   * Room for a copy in the device's own memory; the parameters are those of {@link #inPlace}.
   *
   * @throws OutOfDeviceMemoryException if the device has none left
   */
  static MappedMemory copied(Context context, MemorySegment memory, long most) {
    return new MappedMemory(memory, most, part -> DeviceBuffer.allocate(context, part.byteSize()));
  }

  /** Copies all of it to the device. */
  void load(Queue queue) {
    for (int w = 0; w < windows.size(); w++) {
      queue.write(windows.get(w), 0, part(w));
    }
  }

  /** Copies all of it but the first page, which is the store's, from the device. */
  void store(Queue queue) {
    for (int w = 0; w < windows.size(); w++) {
      long from = w == 0 ? MappedFile.PAGE_BYTES : 0;
      MemorySegment part = part(w);
      if (part.byteSize() > from) {
        queue.read(windows.get(w), from, part.asSlice(from));
      }
    }
  }

  private MemorySegment part(int window) {
    return memory.asSlice(window * windowBytes, windows.get(window).bytes());
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
