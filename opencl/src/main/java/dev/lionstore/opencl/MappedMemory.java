package dev.lionstore.opencl;

import dev.lionstore.kernel.StoreMemory;
import dev.lionstore.opencl.driver.Context;
import dev.lionstore.opencl.driver.DeviceBuffer;
import dev.lionstore.opencl.driver.OutOfDeviceMemoryException;
import dev.lionstore.opencl.driver.Queue;
import dev.lionstore.os.MappedFile;
import dev.lionstore.rule.Plane;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * A mapped file as a device sees it: windows side by side, none larger than the device allows, all
 * on page boundaries. Windows never overlap: OpenCL leaves open what overlapping ones would see.
 * They are the file's memory itself, or have room for a copy of it. No block of values lies in two
 * of them.
 */
final class MappedMemory implements AutoCloseable {
  private final MemorySegment memory;

  /** What the first window has more than others: up to a page that begins with a block. */
  private final long lead;

  private final long windowBytes;
  private final List<DeviceBuffer> windows = new ArrayList<>();

  /** Makes the window of a part of the memory. */
  private interface Maker {
    DeviceBuffer window(MemorySegment part);
  }

  private MappedMemory(StoreMemory.PlaneFile file, Plane.Type type, long most, Maker maker) {
    this.memory = file.memory();
    this.lead = lead(file.firstValue(), type.blockBytes());
    long step = wholeBlocks(type.blockBytes());
    long whole = Math.max(1, (most - lead) / step) * step;
    this.windowBytes = Math.min(whole, memory.byteSize());
    try {
      for (long at = 0; at < memory.byteSize(); at = start(windows.size())) {
        long end = Math.min(start(windows.size() + 1), memory.byteSize());
        windows.add(maker.window(memory.asSlice(at, end - at)));
      }
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  /** The first page from whose beginning on the values are whole blocks. */
  private static long lead(long firstValue, int blockBytes) {
    long page = 0;
    while ((page - firstValue) % blockBytes != 0) {
      page += MappedFile.PAGE_BYTES;
    }
    return page;
  }

  /** The fewest pages that are blocks without a rest: a page has a power of two of bytes. */
  private static long wholeBlocks(int blockBytes) {
    return (long) blockBytes / Integer.lowestOneBit(blockBytes) * MappedFile.PAGE_BYTES;
  }

  /** Where a window begins. */
  private long start(int window) {
    return window == 0 ? 0 : lead + window * windowBytes;
  }

  /**
   * A plane's memory itself.
   *
   * @param plane a file, from a page on
   * @param type of its values
   * @param most the most bytes of a window, if that is enough for some blocks
   */
  static MappedMemory inPlace(
      Context context, StoreMemory.PlaneFile plane, Plane.Type type, long most) {
    return new MappedMemory(plane, type, most, part -> DeviceBuffer.over(context, part));
  }

  /** The same of another file, without blocks. */
  static MappedMemory inPlace(Context context, MemorySegment memory, long most) {
    return inPlace(context, new StoreMemory.PlaneFile(memory, 0), Plane.Type.F32, most);
  }

  /**
   * Room for a copy in the device's own memory; the parameters are those of {@link #inPlace}.
   *
   * @throws OutOfDeviceMemoryException if the device has none left
   */
  static MappedMemory copied(
      Context context, StoreMemory.PlaneFile plane, Plane.Type type, long most) {
    return new MappedMemory(
        plane, type, most, part -> DeviceBuffer.allocate(context, part.byteSize()));
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
    return memory.asSlice(start(window), windows.get(window).bytes());
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
    return windows.get(index(address));
  }

  /** Where it is in its window, in bytes. */
  long offset(long address) {
    return address - memory.address() - start(index(address));
  }

  private int index(long address) {
    return (int) (Math.max(0, address - memory.address() - lead) / windowBytes);
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
