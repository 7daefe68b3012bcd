package dev.lionstore.opencl.driver;

import static org.lwjgl.opencl.CL10.CL_FALSE;
import static org.lwjgl.opencl.CL10.CL_MAP_READ;
import static org.lwjgl.opencl.CL10.CL_MAP_WRITE;
import static org.lwjgl.opencl.CL10.CL_TRUE;
import static org.lwjgl.opencl.CL10.clFinish;
import static org.lwjgl.opencl.CL10.clFlush;
import static org.lwjgl.opencl.CL10.clReleaseCommandQueue;
import static org.lwjgl.opencl.CL10.clReleaseEvent;
import static org.lwjgl.opencl.CL10.clWaitForEvents;
import static org.lwjgl.opencl.CL10.nclCreateCommandQueue;
import static org.lwjgl.opencl.CL10.nclEnqueueCopyBuffer;
import static org.lwjgl.opencl.CL10.nclEnqueueMapBuffer;
import static org.lwjgl.opencl.CL10.nclEnqueueNDRangeKernel;
import static org.lwjgl.opencl.CL10.nclEnqueueReadBuffer;
import static org.lwjgl.opencl.CL10.nclEnqueueUnmapMemObject;
import static org.lwjgl.opencl.CL10.nclEnqueueWriteBuffer;
import static org.lwjgl.opencl.CL12.nclEnqueueMarkerWithWaitList;

import java.lang.foreign.MemorySegment;
import org.lwjgl.system.MemoryStack;
import org.lwjgl.system.MemoryUtil;

/**
 * Commands that a device executes in their order. For one thread at a time.
 *
 * <p>Closing waits for the commands: memory that they use may go away afterwards.
 */
public class Queue implements Closers.Closer {
  private final Context context;
  private final long id;

  /** The event of the last command that was flushed; 0 if there is none. */
  private long flushed;

  public Queue(Context context) {
    this.context = context;
    try (MemoryStack stack = MemoryStack.stackPush()) {
      long status = stack.nmalloc(Integer.BYTES);
      this.id = nclCreateCommandQueue(context.id(), context.device().handle().device(), 0, status);
      Status.require(MemoryUtil.memGetInt(status), "clCreateCommandQueue on " + context.device());
    }
  }

  /**
   * Runs a call on so many work-items, in groups of so many.
   *
   * @param items a multiple of the group
   */
  public void run(KernelCall call, long items, long group) {
    try (MemoryStack stack = MemoryStack.stackPush()) {
      long global = stack.pointers(items).address();
      long local = stack.pointers(group).address();
      Status.require(
          nclEnqueueNDRangeKernel(
              id,
              call.id(),
              1,
              MemoryUtil.NULL,
              global,
              local,
              0,
              MemoryUtil.NULL,
              MemoryUtil.NULL),
          "clEnqueueNDRangeKernel " + call.name());
    }
  }

  /** Copies to the device; the memory stays as it is until the queue has finished. */
  public void write(DeviceBuffer to, long offset, MemorySegment from) {
    Status.require(
        nclEnqueueWriteBuffer(
            id,
            to.id(),
            CL_FALSE,
            offset,
            from.byteSize(),
            from.address(),
            0,
            MemoryUtil.NULL,
            MemoryUtil.NULL),
        "clEnqueueWriteBuffer on " + context.device());
  }

  /** Copies from the device; the memory has it when the queue has finished. */
  public void read(DeviceBuffer from, long offset, MemorySegment to) {
    Status.require(
        nclEnqueueReadBuffer(
            id,
            from.id(),
            CL_FALSE,
            offset,
            to.byteSize(),
            to.address(),
            0,
            MemoryUtil.NULL,
            MemoryUtil.NULL),
        "clEnqueueReadBuffer on " + context.device());
  }

  /** Copies the first so many bytes within the device. */
  public void copy(DeviceBuffer from, DeviceBuffer to, long bytes) {
    Status.require(
        nclEnqueueCopyBuffer(
            id, from.id(), to.id(), 0, 0, bytes, 0, MemoryUtil.NULL, MemoryUtil.NULL),
        "clEnqueueCopyBuffer on " + context.device());
  }

  /** Maps a part of a buffer for reading and writing, and waits until the CPU sees it. */
  public long map(DeviceBuffer buffer, long offset, long bytes) {
    try (MemoryStack stack = MemoryStack.stackPush()) {
      long status = stack.nmalloc(Integer.BYTES);
      long address =
          nclEnqueueMapBuffer(
              id,
              buffer.id(),
              CL_TRUE,
              CL_MAP_READ | CL_MAP_WRITE,
              offset,
              bytes,
              0,
              MemoryUtil.NULL,
              MemoryUtil.NULL,
              status);
      Status.require(MemoryUtil.memGetInt(status), "clEnqueueMapBuffer on " + context.device());
      return address;
    }
  }

  /** Gives what has been mapped back to the device. */
  public void unmap(DeviceBuffer buffer, long address) {
    Status.require(
        nclEnqueueUnmapMemObject(id, buffer.id(), address, 0, MemoryUtil.NULL, MemoryUtil.NULL),
        "clEnqueueUnmapMemObject on " + context.device());
  }

  /** Hands the commands over to the device. */
  public void flush() {
    forgetFlushed();
    try (MemoryStack stack = MemoryStack.stackPush()) {
      long event = stack.nmalloc(Long.BYTES);
      Status.require(
          nclEnqueueMarkerWithWaitList(id, 0, MemoryUtil.NULL, event),
          "clEnqueueMarkerWithWaitList on " + context.device());
      flushed = MemoryUtil.memGetAddress(event);
    }
    Status.require(clFlush(id), "clFlush on " + context.device());
  }

  /**
   * Waits until every command has been executed. Mesa 22.3's clFinish does not wait for what has
   * been flushed.
   */
  public void finish() {
    Status.require(clFinish(id), "clFinish on " + context.device());
    if (flushed != 0) {
      Status.require(clWaitForEvents(flushed), "clWaitForEvents on " + context.device());
      forgetFlushed();
    }
  }

  private void forgetFlushed() {
    if (flushed != 0) {
      clReleaseEvent(flushed);
      flushed = 0;
    }
  }

  /** Waits until nothing is executed any more, whatever became of it. */
  public void settle() {
    clFinish(id); // a lost device answers with an error, and executes nothing more
    if (flushed != 0) {
      clWaitForEvents(flushed);
      forgetFlushed();
    }
  }

  @Override
  public void close() {
    settle();
    clReleaseCommandQueue(id);
  }
}
