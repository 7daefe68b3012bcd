package dev.lionstore.store.step;

import dev.lionstore.kernel.GradientValues;
import dev.lionstore.kernel.Kernel;
import dev.lionstore.kernel.TensorStep;
import dev.lionstore.kernel.Undo;
import dev.lionstore.os.LargePages;
import dev.lionstore.store.file.ChunkUndoFile;
import dev.lionstore.store.file.DirectPlanes;
import dev.lionstore.store.file.Geometry;
import dev.lionstore.store.file.ProgressFile;
import dev.lionstore.store.file.StoreFiles;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Steps chunks with the CPU in memory of its own, where they are read and from where they are
 * written past the page cache. What they were is saved whole before the first byte is written.
 */
public final class DirectStepper implements ChunkStepper {
  /** So many requests at the same time keep a disk busy while some threads compute. */
  public static final int WORKERS = 8;

  /** How many of them can have saved what they change: the others read. */
  private static final int RUNS_SAVED = 4;

  /** What a disk is asked for at once, in elements of a plane: 4 MiB of 16-bit values. */
  private static final int RUN_ELEMENTS = 1 << 21;

  private static final int SLICE = Kernel.MAX_SLICE;

  private final StoreFiles files;
  private final DirectPlanes direct;
  private final RunSlots slots;
  private final Kernel.Stepper stepper;
  private final List<Undo> undo;
  private final Arena arena = Arena.ofShared();
  private final List<MemorySegment> buffers = new ArrayList<>();
  private int firstSlot;

  /**
   * A stepper for one thread.
   *
   * @param slots for the steppers of all threads
   */
  public DirectStepper(StoreFiles files, DirectPlanes direct, Kernel kernel, RunSlots slots) {
    this.files = files;
    this.direct = direct;
    this.slots = slots;
    this.stepper = kernel.newStepper();
    this.undo = IntStream.range(0, slots.count()).mapToObj(files.progress()::undo).toList();
    long elements = (long) slots.ofRun() * files.geometry().chunkElements();
    for (int p = 0; p < direct.count(); p++) {
      buffers.add(LargePages.allocate(arena, direct.bufferBytes(p, Geometry.padded(elements))));
    }
  }

  /** The slots for the steppers of all threads, all of them free. */
  public static RunSlots slots(int chunkElements) {
    int most = ProgressFile.WORKERS / RUNS_SAVED;
    return new RunSlots(RUNS_SAVED, Math.clamp(RUN_ELEMENTS / chunkElements, 1, most));
  }

  @Override
  public int chunksAtOnce() {
    return slots.ofRun();
  }

  @Override
  public Saving saving() {
    return Saving.CHUNKS;
  }

  @Override
  public boolean canSave() {
    return files.hasChunkUndo(slots.count() - 1);
  }

  @Override
  public void stamped() {
    slots.giveBack(firstSlot);
  }

  @Override
  public void apply(TensorStep tensor, int chunk, long from, long to, long nextStep, Saving with) {
    int t = files.geometry().tensorOf(chunk);
    GradientValues gradient =
        with == Saving.CHUNKS ? kept(tensor, t, from, to) : tensor.gradient().slice(from, to);
    int[] planes = files.planesOf(t);
    TensorStep part = tensor.part(read(planes, t, from, to), gradient, from);
    inSlots(() -> {
      switch (with) {
        case CHUNKS -> save(part, chunk, (int) (to - from), nextStep);
        case NONE -> {
          for (int slot = 0; slot < chunksOf(to - from); slot++) {
            undo.get(firstSlot + slot).setWord(ProgressFile.begun(nextStep, chunk + slot));
          }
        }
        case UNITS, BY_KERNEL -> throw new IllegalStateException("chunks are saved whole");
      }
      step(part, to - from);
      write(part, planes, t);
    });
  }

  /** A gradient that the gradient plane keeps. */
  private GradientValues kept(TensorStep step, int tensor, long from, long to) {
    int plane = files.planes().size();
    MemorySegment place = direct.place(buffers.get(plane), plane, tensor, from, to - from);
    read(place, plane, tensor, from);
    return new GradientValues(step.gradient().type(), place);
  }

  /** Changes a run that has been read; others wait for slots, so they have to know of a failure. */
  private void inSlots(Runnable change) {
    firstSlot = slots.take();
    try {
      change.run();
    } catch (RuntimeException | Error e) {
      slots.fail(e);
      throw e;
    }
  }

  private int chunksOf(long elements) {
    return (int) Math.ceilDiv(elements, (long) files.geometry().chunkElements());
  }

  private List<MemorySegment> read(int[] planes, int tensor, long from, long to) {
    long count = Geometry.padded(to) - from; // kernels compute the padding, too
    List<MemorySegment> values = new ArrayList<>();
    for (int plane : planes) {
      MemorySegment place = direct.place(buffers.get(plane), plane, tensor, from, count);
      read(place, plane, tensor, from);
      values.add(place);
    }
    return values;
  }

  private void read(MemorySegment place, int plane, int tensor, long from) {
    try {
      direct.read(place, plane, tensor, from);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void save(TensorStep part, int chunk, int count, long nextStep) {
    ChunkUndoFile saved = files.chunkUndo().orElseThrow();
    int chunkElements = files.geometry().chunkElements();
    for (int slot = 0; slot < chunksOf(count); slot++) {
      int at = slot * chunkElements;
      saved.save(firstSlot + slot, part, at, Math.min(chunkElements, count - at));
      undo.get(firstSlot + slot).setWord(ProgressFile.whole(nextStep, chunk + slot));
    }
  }

  private void step(TensorStep part, long count) {
    for (long at = 0; at < count; at += SLICE) {
      stepper.apply(part, at, (int) Math.min(SLICE, count - at));
    }
  }

  private void write(TensorStep part, int[] planes, int tensor) {
    try {
      for (int p = 0; p < planes.length; p++) {
        direct.write(part.planes().get(p), planes[p], tensor, part.origin());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    stepper.close();
    arena.close();
  }
}
